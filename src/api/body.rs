//! Request bodies: JSON of a bounded size, in which an unknown or wrong key is named.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;

use super::problem::Problem;

/// The longest message that is said back, in characters.
const MESSAGE_LIMIT: usize = 400;

/// A JSON body as `T`. The bound on its size is a layer of the router.
pub(super) struct JsonBody<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !says_json(request.headers()) {
            let detail = "the body has to be JSON, and Content-Type has to say so: application/json";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
        }
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|rejection| Problem::new(rejection.status(), rejection.body_text()))?;
        parse(&bytes).map(Self)
    }
}

fn says_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let message = error.inner().to_string();
        Problem { field: field(&path, &message), ..Problem::new(StatusCode::BAD_REQUEST, shown(&message)) }
    })?;
    deserializer.end().map_err(|error| Problem::new(StatusCode::BAD_REQUEST, shown(&error.to_string())))?;
    Ok(value)
}

/// What came from outside is shortened, and steers no terminal, when it is said back.
fn shown(message: &str) -> String {
    let plain = |letter: char| if letter.is_control() { char::REPLACEMENT_CHARACTER } else { letter };
    message.chars().take(MESSAGE_LIMIT).map(plain).collect()
}

/// The field at fault: by its path, or, for a key that is missing or unknown, by the name in the message.
fn field(path: &str, message: &str) -> Option<String> {
    let named = ["unknown field `", "missing field `"].iter().find_map(|lead| message.strip_prefix(lead));
    let name = named.and_then(|rest| rest.split('`').next());
    match (path, name) {
        ("." | "", name) => name.map(shown),
        // An unknown key is already the last step of the path.
        (path, Some(name)) if !path.ends_with(name) => Some(shown(&format!("{path}.{name}"))),
        (path, _) => Some(shown(path)),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::parse;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        #[serde(rename = "name")]
        _name: String,
        #[serde(default, rename = "capacity")]
        _capacity: Option<u32>,
    }

    fn refused(text: &str) -> (Option<String>, String) {
        let problem = parse::<Sample>(text.as_bytes()).expect_err(text);
        assert_eq!(problem.status, 400);
        (problem.field, problem.detail)
    }

    #[test]
    fn the_key_at_fault_is_named() {
        assert_eq!(refused(r#"{"name":"a","colour":1}"#).0.as_deref(), Some("colour"));
        assert_eq!(refused(r#"{"capacity":1}"#).0.as_deref(), Some("name"));
        assert_eq!(refused(r#"{"name":"a","capacity":"many"}"#).0.as_deref(), Some("capacity"));
        assert_eq!(refused(r#"{"name":"a"} trailing"#).0, None);
        assert_eq!(refused("").0, None);
    }

    #[test]
    fn a_hostile_key_is_escaped_and_shortened() {
        let text = format!("{{\"name\":\"a\",\"{}\":1}}", "\\u001b[31m".repeat(50));
        let (field, detail) = refused(&text);
        let field = field.expect("named");
        assert!(field.chars().count() <= 500 && !field.contains('\u{1b}') && !detail.contains('\u{1b}'), "{field}");
    }
}

//! Parameters in, answers out, as Asterisk has them.

use axum::Json;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

/// The parameters of a request: those of the body, then those of the query.
#[derive(Debug, Default)]
pub(crate) struct Params {
    pub body: Map<String, Value>,
    query: Vec<(String, String)>,
}

impl Params {
    /// A parameter's text.
    pub fn get(&self, name: &str) -> Option<String> {
        let in_query = self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        in_query.or_else(|| match self.body.get(name)? {
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        })
    }

    /// A parameter that may come several times: a JSON array, or text split at commas.
    pub fn list(&self, name: &str) -> Vec<String> {
        if let Some(Value::Array(items)) = self.body.get(name) {
            return items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect();
        }
        self.get(name).map(|text| text.split(',').map(str::to_owned).collect()).unwrap_or_default()
    }

    /// The variables of the body: name, value, and whether it is to be reported.
    pub fn variables(&self) -> Vec<(String, String, bool)> {
        let Some(Value::Object(variables)) = self.body.get("variables") else { return Vec::new() };
        let read = |(name, value): (&String, &Value)| {
            let text = value.as_str().or_else(|| value["value"].as_str()).unwrap_or_default();
            (name.clone(), text.to_owned(), value["report_events"] == true)
        };
        variables.iter().map(read).collect()
    }
}

impl<S: Send + Sync> FromRequest<S> for Params {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refusal> {
        let query = request.uri().query().unwrap_or_default();
        let query = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        // Asterisk reads bodies to 40,960 bytes.
        let body = axum::body::to_bytes(request.into_body(), 40_960).await;
        let body = body.map_err(|_| refuse(413, "Request body too large"))?;
        let body = match body.as_ref() {
            [] => Map::new(),
            bytes => serde_json::from_slice(bytes).map_err(|_| refuse(400, "Request body cannot be parsed"))?,
        };
        Ok(Self { body, query })
    }
}

/// An error answer.
#[derive(Debug)]
pub(crate) struct Refusal(StatusCode, Value);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(self.1)).into_response()
    }
}

/// An error answer with a message.
pub(crate) fn refuse(status: u16, message: &str) -> Refusal {
    Refusal(StatusCode::from_u16(status).expect("a status"), json!({ "message": message }))
}

/// What a handler gives back.
pub(crate) type Reply = Result<Response, Refusal>;

/// 200 with a body.
pub(crate) fn ok(body: Value) -> Reply {
    Ok(Json(body).into_response())
}

/// 201 with a body.
pub(crate) fn created(body: Value) -> Reply {
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

/// 204.
pub(crate) fn done() -> Reply {
    Ok(StatusCode::NO_CONTENT.into_response())
}

//! An operation of the interface, and a request made of it.

use std::fmt::Write;

use http::Method;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::ari::target::encode;
use crate::invalid::Invalid;

/// One operation of the REST interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// Its name here, like `channels.answer`: what errors and metrics call it.
    pub name: &'static str,
    /// Its HTTP method.
    pub method: Method,
    /// Its path as in Asterisk's api-docs, like `/channels/{channelId}/answer`.
    pub path: &'static str,
}

/// Declares the operations of a resource, and `ALL`, their list.
macro_rules! operations {
    ($( $CONST:ident = $METHOD:ident $path:literal $name:literal; )+) => {
        $(
            #[doc = concat!("`", stringify!($METHOD), " ", $path, "`")]
            pub const $CONST: $crate::ari::rest::Operation =
                $crate::ari::rest::Operation { name: $name, method: http::Method::$METHOD, path: $path };
        )+

        /// Every operation of this resource.
        pub(super) const ALL: &[&$crate::ari::rest::Operation] = &[$( &$CONST ),+];
    };
}
pub(super) use operations;

/// A request to be sent: the operation, the ids in its path, and its parameters.
#[derive(Debug)]
pub(in crate::ari) struct Request {
    pub(in crate::ari) operation: Operation,
    ids: Vec<String>,
    query: String,
    body: Body,
}

#[derive(Debug)]
enum Body {
    None,
    Fields(Map<String, Value>),
    Whole(Result<Vec<u8>, String>),
}

impl Operation {
    /// A request of this operation on the object that `ids` name, in the path's order.
    pub(in crate::ari) fn at(self, ids: &[&str]) -> Request {
        let ids = ids.iter().map(|&id| id.to_owned()).collect();
        Request { operation: self, ids, query: String::new(), body: Body::None }
    }
}

impl Request {
    /// Adds a query parameter, unless there is none or it is an empty list.
    pub(super) fn query<'a>(mut self, name: &'static str, value: impl IntoIterator<Item = &'a str>) -> Self {
        let mut value = value.into_iter().peekable();
        if value.peek().is_some() {
            let separator = if self.query.is_empty() { '?' } else { '&' };
            let _infallible = write!(self.query, "{separator}{name}=");
            let values: Vec<String> = value.map(|item| encode(item).to_string()).collect();
            self.query.push_str(&values.join(","));
        }
        self
    }

    /// Adds a parameter to the body, unless it is `None`.
    pub(super) fn field(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        let value = value.into();
        if !value.is_null() {
            match &mut self.body {
                Body::Fields(fields) => {
                    fields.insert(name.to_owned(), value);
                }
                body => *body = Body::Fields(Map::from_iter([(name.to_owned(), value)])),
            }
        }
        self
    }

    /// Makes `parameters` the body.
    pub(super) fn json(mut self, parameters: &impl Serialize) -> Self {
        self.body = Body::Whole(serde_json::to_vec(parameters).map_err(|error| error.to_string()));
        self
    }

    /// The path with its query, and the body.
    pub(in crate::ari) fn encode(self) -> Result<(String, Option<Vec<u8>>), Invalid> {
        let unwritable = |error: String| Invalid::new("body", "parameters that JSON can hold", error);
        let mut path = path(self.operation.path, &self.ids)?;
        path.push_str(&self.query);
        let body = match self.body {
            Body::None => None,
            Body::Fields(fields) => Some(serde_json::to_vec(&fields).map_err(|error| unwritable(error.to_string()))?),
            Body::Whole(body) => Some(body.map_err(unwritable)?),
        };
        Ok((path, body))
    }
}

/// `template` with each `{name}` replaced by the next id, percent-encoded. An id that would change the path's shape, as an
/// empty one or a dot segment does even when encoded, is refused.
fn path(template: &str, ids: &[String]) -> Result<String, Invalid> {
    let mut path = String::with_capacity(template.len() + 40);
    let mut rest = template;
    let mut ids = ids.iter();
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').unwrap_or((after, ""));
        let id = ids.next().map(String::as_str).unwrap_or_default();
        if matches!(id, "" | "." | "..") {
            return Err(Invalid::new(name, "an id that is neither empty nor dots", id));
        }
        let _infallible = write!(path, "{before}{}", encode(id));
        rest = after;
    }
    path.push_str(rest);
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::{Operation, path};
    use http::Method;

    const PLAY: Operation =
        Operation { name: "channels.play", method: Method::POST, path: "/channels/{channelId}/play/{playbackId}" };

    #[test]
    fn ids_cannot_leave_their_segment() {
        let (path, body) = PLAY.at(&["a/../b?c#d%", "é"]).encode().expect("valid");
        assert_eq!((path.as_str(), body), ("/channels/a%2F..%2Fb%3Fc%23d%25/play/%C3%A9", None));
    }

    #[test]
    fn an_id_that_changes_the_path_is_refused_by_name() {
        for id in ["", ".", ".."] {
            let refusal = path("/channels/{channelId}", &[id.to_owned()]).expect_err("refused");
            assert_eq!(refusal.field, "channelId");
        }
    }

    #[test]
    fn absent_parameters_leave_no_trace() {
        let (path, body) = PLAY.at(&["c", "p"]).query("a", None).query("b", ["x y", "z,&"]).encode().expect("valid");
        assert_eq!((path.as_str(), body), ("/channels/c/play/p?b=x%20y,z%2C%26", None));
        let (_, body) = PLAY.at(&["c", "p"]).field("a", None::<&str>).field("b", 1).encode().expect("valid");
        assert_eq!(body.as_deref(), Some(br#"{"b":1}"#.as_slice()));
    }
}

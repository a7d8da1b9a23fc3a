//! The live web page: the pool, the calls and the latest changes, as the API tells them.
//!
//! Why it exists: an operator who has just added or drained a node wants to see it, without setting up a dashboard.
//!
//! Invariants: three files, embedded, no build step; nothing is loaded from elsewhere, and the content security policy
//! forbids it; what comes from callers is put in as text, never as markup; the page shows only what the API answers, and
//! says so when that is old.

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{HeaderName, HeaderValue, header};

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Nothing from elsewhere, nothing inline, no frame around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The page at `/`, and its two parts.
pub fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route("/", get(|| async { file(PAGE, "text/html; charset=utf-8") }))
        .route("/page.css", get(|| async { file(STYLE, "text/css; charset=utf-8") }))
        .route("/page.js", get(|| async { file(SCRIPT, "text/javascript; charset=utf-8") }))
}

fn file(text: &'static str, kind: &'static str) -> Response {
    let headers: [(HeaderName, HeaderValue); 5] = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (headers, text).into_response()
}

#[cfg(test)]
mod tests {
    use super::{PAGE, SCRIPT, STYLE};

    #[test]
    fn nothing_comes_from_elsewhere_and_nothing_is_markup() {
        for text in [PAGE, SCRIPT, STYLE] {
            assert!(!text.contains("http://") && !text.contains("https://"), "the page loads from elsewhere");
        }
        for inline in ["<style", " style=", " onclick=", "<script>"] {
            assert!(!PAGE.contains(inline), "the policy forbids {inline}");
        }
        for unsafe_sink in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("] {
            assert!(!SCRIPT.contains(unsafe_sink), "{unsafe_sink} takes markup");
        }
    }
}

//! Who may speak to the API from within a browser: the web page itself, and no other page.
//!
//! Why it exists: the API has no passwords, because it listens on loopback. A browser on that machine would carry any web
//! page's requests there: straight (a form's POST needs no permission), or by a host name of the page's own whose DNS
//! answer becomes 127.0.0.1 after it was loaded. The first kind names a foreign origin, the second a foreign `Host`.
//! Programs send neither header of a browser, and are not concerned as long as they use an address or a known name.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::uri::{Authority, Uri};
use http::{HeaderMap, StatusCode, header};

use super::problem::Problem;
use super::settings::Settings;

/// Lets a request on if it comes from nowhere that must not command kamari.
pub(super) async fn guard(
    State(settings): State<Arc<Settings>>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    // Numbers and health tell little, change nothing, and are asked for by whatever name a monitoring has for us.
    if request.uri().path().starts_with("/v1/") {
        check(request.headers(), &settings.hosts)?;
    }
    Ok(next.run(request).await)
}

fn check(headers: &HeaderMap, hosts: &[String]) -> Result<(), Problem> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let host = text(header::HOST.as_str());
    if host.is_some_and(|host| !is_ours(host, hosts)) {
        let detail =
            "the Host header names no address, localhost or name in api.hosts: add the name there if it is ours";
        return Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, detail));
    }
    let foreign = match (text("sec-fetch-site"), text(header::ORIGIN.as_str())) {
        (Some(site), _) => !matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => authority_of(origin) != host.map(str::to_ascii_lowercase),
        (None, None) => false,
    };
    if foreign {
        return Err(Problem::new(StatusCode::FORBIDDEN, "a page from elsewhere asks: only kamari's own page may"));
    }
    Ok(())
}

/// Whether nobody but us can answer to this `Host`: addresses cannot be made to point elsewhere.
fn is_ours(host: &str, hosts: &[String]) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host().trim_start_matches('[').trim_end_matches(']');
    name.parse::<IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || hosts.iter().any(|known| known.eq_ignore_ascii_case(name))
}

fn authority_of(origin: &str) -> Option<String> {
    let origin = origin.parse::<Uri>().ok()?;
    origin.authority().map(|authority| authority.as_str().to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::check;

    fn status(headers: &[(&'static str, &str)]) -> u16 {
        let headers: HeaderMap =
            headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        check(&headers, &["ops.example".to_owned()]).map_or_else(|problem| problem.status, |()| 200)
    }

    #[test]
    fn programs_and_our_own_page_pass() {
        for host in ["127.0.0.1:8071", "localhost:8071", "[::1]:8071", "10.1.2.3", "OPS.example:443"] {
            assert_eq!(status(&[("host", host)]), 200, "{host}");
        }
        assert_eq!(status(&[]), 200);
        assert_eq!(status(&[("host", "127.0.0.1:8071"), ("origin", "http://127.0.0.1:8071")]), 200);
        let page = [("host", "127.0.0.1:8071"), ("origin", "https://ops.example"), ("sec-fetch-site", "same-origin")];
        assert_eq!(status(&page), 200, "behind a proxy that writes its own Host");
    }

    #[test]
    fn a_name_that_may_be_anybodys_is_refused() {
        for host in ["evil.test:8071", "127.0.0.1.evil.test", "localhost.evil.test", "", "a b", "ops.example.evil.test"]
        {
            assert_eq!(status(&[("host", host)]), 421, "{host}");
        }
    }

    #[test]
    fn other_pages_are_refused() {
        for origin in ["http://evil.test", "null", "http://127.0.0.1:9999", "", "http://127.0.0.1"] {
            assert_eq!(status(&[("host", "127.0.0.1:8071"), ("origin", origin)]), 403, "{origin}");
        }
        for site in ["cross-site", "same-site", "x"] {
            assert_eq!(status(&[("host", "127.0.0.1:8071"), ("sec-fetch-site", site)]), 403, "{site}");
        }
    }
}

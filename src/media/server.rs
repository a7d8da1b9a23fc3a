//! The HTTP side: `GET /media/prompts/NAME` and `GET /media/own/NAME` (prompts of one tenant), and `GET /media/recordings/TOKEN.wav` while a recording is lent.

use std::future::Future;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, Method, StatusCode};
use tokio::net::TcpListener;

use super::lending::{Answer, Lender};
use super::prompts::{Prompts, Source, media_type};
use crate::serving;

/// What is served.
#[derive(Debug, Clone)]
pub struct Served {
    /// Prompts.
    pub prompts: Arc<Prompts>,
    /// Recordings, where there are any.
    pub lender: Option<Arc<Lender>>,
}

/// Serves `served` on `listener`, to so many connections at a time, until `stop` completes; what is being sent then is sent to
/// its end.
pub async fn serve(
    listener: TcpListener,
    served: Served,
    connections: usize,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    serving::serve("media", listener, router(served), connections, stop).await
}

fn router(served: Served) -> Router {
    Router::new()
        .route("/media/prompts/{*name}", get(prompt))
        .route("/media/own/{name}", get(own_prompt))
        .route("/media/recordings/{name}", get(recording))
        .with_state(served)
}

/// A lent recording. No cache may keep it: the node's own is told so, and made to forget it afterwards.
async fn recording(State(served): State<Served>, Path(name): Path<String>, method: Method) -> Response {
    let (Some(lender), Some(token)) = (served.lender, name.strip_suffix(".wav")) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let path = match lender.answer(token) {
        Answer::Unknown => return StatusCode::NOT_FOUND.into_response(),
        Answer::Gone => {
            if method == Method::GET {
                lender.told_gone(token);
            }
            return StatusCode::GONE.into_response();
        }
        Answer::File(path) => path,
    };
    match tokio::fs::read(&path).await {
        Ok(audio) => {
            // One address gives one recording after the other: the tag makes a node see that.
            let mut hasher = DefaultHasher::new();
            path.hash(&mut hasher);
            let tag = format!("\"{:016x}-{:x}\"", hasher.finish(), audio.len());
            let about = [(CONTENT_TYPE, "audio/wav"), (CACHE_CONTROL, "no-store"), (X_CONTENT_TYPE_OPTIONS, "nosniff")];
            (about, [(ETAG, tag)], audio).into_response()
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => StatusCode::NOT_FOUND.into_response(),
        Err(error) => {
            tracing::error!(%error, "a recording cannot be read");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

async fn prompt(State(served): State<Served>, Path(name): Path<String>, headers: HeaderMap) -> Response {
    answer(&served.prompts, served.prompts.find(&name), &name, &headers).await
}

async fn own_prompt(State(served): State<Served>, Path(name): Path<String>, headers: HeaderMap) -> Response {
    answer(&served.prompts, served.prompts.find_own(&name), &name, &headers).await
}

async fn answer(prompts: &Prompts, source: Option<Source>, name: &str, headers: &HeaderMap) -> Response {
    let Some((source, media_type)) = source.zip(media_type(name)) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let (body, tag) = match read(source).await {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return StatusCode::NOT_FOUND.into_response(),
        Err(error) => {
            tracing::error!(prompt = name, %error, "a prompt cannot be read");
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
    };
    let cache = format!("max-age={}", prompts.max_age_s);
    let known = headers.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if known.split(',').any(|one| one.trim().trim_start_matches("W/") == tag || one.trim() == "*") {
        return (StatusCode::NOT_MODIFIED, [(ETAG, tag), (CACHE_CONTROL, cache)]).into_response();
    }
    let about = [(CONTENT_TYPE, media_type), (X_CONTENT_TYPE_OPTIONS, "nosniff")];
    (about, [(ETAG, tag), (CACHE_CONTROL, cache)], body).into_response()
}

/// The bytes of a prompt and the tag that changes when they do.
async fn read(source: Source) -> io::Result<(Bytes, String)> {
    match source {
        Source::Memory(bytes) => {
            let mut hasher = DefaultHasher::new();
            bytes.hash(&mut hasher);
            Ok((bytes, format!("\"{:016x}\"", hasher.finish())))
        }
        Source::File(path) => {
            let about = tokio::fs::metadata(&path).await?;
            if !about.is_file() {
                return Err(io::ErrorKind::NotFound.into());
            }
            let changed = about.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
            let tag = format!("\"{:x}-{:x}\"", about.len(), changed.as_nanos());
            Ok((tokio::fs::read(&path).await?.into(), tag))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::sync::Arc;

    use http::StatusCode;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::{Served, serve};
    use crate::media::{Lender, Listener, MediaSettings, Prompts, RecordingId, Recordings};
    use crate::telemetry::Metrics;

    /// Sends one request as raw bytes, so that no client tidies up its path, and gives the whole answer.
    async fn ask(address: SocketAddr, path: &str, extra: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{extra}\r\n");
        stream.write_all(request.as_bytes()).await.expect("a request sent");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.expect("an answer");
        let text = String::from_utf8_lossy(&answer).into_owned();
        (text.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status"), text)
    }

    async fn start(settings: &MediaSettings) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let served = Served { prompts: Arc::new(Prompts::new(settings)), lender: None };
        tokio::spawn(serve(listener, served, 64, std::future::pending()));
        address
    }

    #[tokio::test]
    async fn a_prompt_comes_once_and_then_only_its_tag() {
        let address = start(&MediaSettings::default()).await;
        let (status, text) = ask(address, "/media/prompts/hello.wav", "").await;
        assert_eq!(status, 200);
        assert!(
            text.contains("content-type: audio/wav\r\n") && text.contains("cache-control: max-age=60\r\n"),
            "{text:.300}"
        );
        let tag = text.split("etag: ").nth(1).and_then(|rest| rest.split("\r\n").next()).expect("an ETag").to_owned();
        let (status, text) =
            ask(address, "/media/prompts/hello.wav", &format!("If-None-Match: \"x\", {tag}\r\n")).await;
        assert_eq!((status, text.ends_with("\r\n\r\n")), (304, true));
        let (status, _) = ask(address, "/media/prompts/hello.wav", "If-None-Match: \"x\"\r\n").await;
        assert_eq!(status, 200);
    }

    #[tokio::test]
    async fn what_a_tenant_has_of_his_own_comes_under_the_address_that_the_settings_got_for_it_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir_all(folder.path().join("tenants/one")).expect("a folder");
        std::fs::write(folder.path().join("tenants/one/news.wav"), b"his own").expect("a file");
        let prompts = Arc::new(Prompts::new(&MediaSettings {
            prompts: Some(folder.path().to_owned()),
            ..MediaSettings::default()
        }));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let served = Served { prompts: Arc::clone(&prompts), lender: None };
        tokio::spawn(serve(listener, served, 64, std::future::pending()));

        let uri = prompts.resolve(Listener { tenant: "one", language: None }, "news").expect("it is there");
        let path = uri.as_str().split("8072").nth(1).expect("a path");
        let (status, text) = ask(address, path, "").await;
        assert!(status == 200 && text.ends_with("his own") && text.contains("content-type: audio/wav"), "{text}");
        std::fs::remove_file(folder.path().join("tenants/one/news.wav")).expect("removed");
        for gone in [path, "/media/own/news.wav", "/media/prompts/tenants/one/news.wav", "/media/own/..%2fnews.wav"] {
            assert_eq!(ask(address, gone, "").await.0, 404, "{gone}");
        }
    }

    #[tokio::test]
    async fn a_recording_can_be_fetched_only_while_it_is_lent() {
        let folder = tempfile::tempdir().expect("a folder");
        let metrics = Metrics::new().expect("metrics").media;
        let store = Arc::new(Recordings::open(folder.path(), Arc::clone(&metrics)).expect("a good folder"));
        let settings = MediaSettings::default();
        let lender = Arc::new(Lender::new(Arc::clone(&store), &settings, Arc::clone(&metrics)));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let served = Served { prompts: Arc::new(Prompts::new(&settings)), lender: Some(Arc::clone(&lender)) };
        tokio::spawn(serve(listener, served, 64, std::future::pending()));

        let id = RecordingId::random();
        std::fs::write(store.audio(&id), b"audio").expect("written");
        let loan = lender.lend("n1").await.expect("lent");
        let path = loan.uri.as_str().split("8072").nth(1).expect("a path").to_owned();
        assert!(!path.contains(id.as_str()), "the address does not name the recording");
        assert_eq!(ask(address, &path, "").await.0, 410);
        lender.offer(&loan, &id);
        let (status, text) = ask(address, &path, "").await;
        assert!(status == 200 && text.ends_with("audio") && text.contains("cache-control: no-store"), "{text}");
        lender.withdraw(&loan);
        let refused = lender.refused(&loan);
        assert_eq!(ask(address, &path, "").await.0, 410);
        refused.await;
        // What a killed kamari lent is known to the next one.
        let next = Lender::new(Arc::clone(&store), &settings, metrics);
        assert_eq!(next.outstanding().await.expect("read"), std::slice::from_ref(&loan));

        lender.give_back(loan.clone()).await.expect("given back");
        assert_eq!(ask(address, &path, "").await.0, 404);
        assert_eq!(next.outstanding().await.expect("read"), []);
        assert_eq!(lender.lend("n1").await.expect("lent").uri, loan.uri, "a node's addresses are used again");
        assert_ne!(lender.lend("n2").await.expect("lent").uri, loan.uri);
        for other in ["/media/recordings/x.wav", "/media/recordings/..%2f..%2fx.wav", &path.replace(".wav", ".txt")] {
            assert_eq!(ask(address, other, "").await.0, 404, "{other}");
        }
    }

    #[tokio::test]
    async fn a_changed_file_has_another_tag_and_nothing_outside_the_folder_is_served() {
        let root = tempfile::tempdir().expect("a folder");
        let folder = root.path().join("prompts");
        std::fs::create_dir(&folder).expect("a folder");
        std::fs::write(root.path().join("outside.wav"), b"secret").expect("a file");
        std::fs::write(folder.join("one.ulaw"), b"first").expect("a file");
        std::fs::create_dir(folder.join("folder.wav")).expect("a folder");
        let address = start(&MediaSettings { prompts: Some(folder.clone()), ..MediaSettings::default() }).await;

        let (status, first) = ask(address, "/media/prompts/one.ulaw", "").await;
        assert!(status == 200 && first.ends_with("first"));
        std::fs::write(folder.join("one.ulaw"), b"second").expect("a file");
        let (_, second) = ask(address, "/media/prompts/one.ulaw", "").await;
        let tag =
            |text: &str| text.split("etag: ").nth(1).and_then(|rest| rest.split("\r\n").next()).map(str::to_owned);
        assert!(second.ends_with("second") && tag(&first) != tag(&second));

        for path in [
            "../outside.wav",
            "%2e%2e/outside.wav",
            "..%2foutside.wav",
            "%2e%2e%2foutside.wav",
            "//etc/passwd",
            "absent.wav",
            "folder.wav",
            "one.ulaw/",
            "%00.wav",
            "%ff.wav",
            "",
            "..\\outside.wav",
        ] {
            let (status, text) = ask(address, &format!("/media/prompts/{path}"), "").await;
            let refused = status == StatusCode::NOT_FOUND || status == StatusCode::BAD_REQUEST;
            assert!(refused && !text.contains("secret"), "{path}: {text}");
        }
    }
}

//! Digest authentication (RFC 2617, MD5, `qop=auth`) as a phone does it.

use std::io::Write as _;
use std::process::{Command, Stdio};

use super::message::{Message, Request};

/// The request once more, with the credentials that `challenge` asks for.
pub(crate) fn answer(request: &Request, challenge: &Message, user: &str, password: &str) -> Request {
    let (asked, header) = match challenge.header("WWW-Authenticate") {
        "" => (challenge.header("Proxy-Authenticate"), "Proxy-Authorization"),
        asked => (asked, "Authorization"),
    };
    let field = |name: &str| {
        let start = asked.find(&format!("{name}=\"")).unwrap_or_else(|| panic!("{name} in {asked}")) + name.len() + 2;
        asked[start..].split('"').next().unwrap_or_default()
    };
    let (realm, nonce) = (field("realm"), field("nonce"));
    let identity = md5(&format!("{user}:{realm}:{password}"));
    let target = md5(&format!("{}:{}", request.method, request.uri));
    let response = md5(&format!("{identity}:{nonce}:00000001:abcdef:auth:{target}"));
    let mut again = Request { cseq: request.cseq + 1, ..Request::new(request.method, &request.uri) };
    again.call_id.clone_from(&request.call_id);
    again.from.clone_from(&request.from);
    again.to.clone_from(&request.to);
    again.extra.clone_from(&request.extra);
    again.contact.clone_from(&request.contact);
    again.with(&format!(
        "{header}: Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{}\", qop=auth, nc=00000001, \
         cnonce=\"abcdef\", response=\"{response}\", algorithm=MD5",
        request.uri
    ))
}

/// By coreutils, like `add-user`: no test needs a hash crate for this.
fn md5(text: &str) -> String {
    let mut child = Command::new("md5sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("md5sum");
    child.stdin.take().expect("piped").write_all(text.as_bytes()).expect("written");
    let output = child.wait_with_output().expect("it ends");
    String::from_utf8_lossy(&output.stdout).chars().take(32).collect()
}

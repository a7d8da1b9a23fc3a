//! SIP messages as text: what a test writes, and what it reads.

/// A SIP message that was received, as it came.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    text: String,
}

impl Message {
    pub(crate) fn new(datagram: &[u8]) -> Self {
        Self { text: String::from_utf8_lossy(datagram).into_owned() }
    }

    /// The whole message.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The first line.
    pub(crate) fn start(&self) -> &str {
        self.text.lines().next().unwrap_or_default()
    }

    /// The method of a request, or that which a response answers.
    pub(crate) fn method(&self) -> &str {
        match self.status() {
            None => self.start().split(' ').next().unwrap_or_default(),
            Some(_) => self.header("CSeq").split(' ').nth(1).unwrap_or_default(),
        }
    }

    /// The status of a response.
    pub(crate) fn status(&self) -> Option<u16> {
        self.start().strip_prefix("SIP/2.0 ")?.split(' ').next()?.parse().ok()
    }

    /// The request URI.
    pub(crate) fn uri(&self) -> &str {
        self.start().split(' ').nth(1).unwrap_or_default()
    }

    /// All values of a header, in order.
    pub(crate) fn headers(&self, name: &str) -> Vec<&str> {
        let head = self.text.split("\r\n\r\n").next().unwrap_or_default();
        let fields = head.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
        fields.filter(|(key, _)| key.trim().eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).collect()
    }

    /// The first value of a header; empty when there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers(name).first().copied().unwrap_or_default()
    }

    /// The URI in the Contact.
    pub(crate) fn contact(&self) -> &str {
        let contact = self.header("Contact");
        contact.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map_or(contact, |(uri, _)| uri)
    }

    /// A response to this request, with `tag` of whoever answers.
    pub(crate) fn response(&self, status: u16, contact: &str, tag: &str) -> String {
        let mut out = format!("SIP/2.0 {status} Test\r\n");
        for name in ["Via", "Record-Route", "From", "To", "Call-ID", "CSeq"] {
            for value in self.headers(name) {
                out.push_str(name);
                out.push_str(": ");
                out.push_str(value);
                if name == "To" && status > 100 && !value.contains(";tag=") {
                    out.push_str(";tag=");
                    out.push_str(tag);
                }
                out.push_str("\r\n");
            }
        }
        out + &format!("Contact: <{contact}>\r\nContent-Length: 0\r\n\r\n")
    }
}

/// A request that a test sends: the fields that tests vary, with defaults for the rest.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: &'static str,
    pub(crate) uri: String,
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) from_tag: String,
    pub(crate) to_tag: Option<String>,
    pub(crate) call_id: String,
    pub(crate) branch: String,
    pub(crate) cseq: u32,
    /// Further header lines, each with its CRLF.
    pub(crate) extra: String,
    pub(crate) contact: Option<String>,
}

impl Request {
    /// A new request to `uri` from a stranger.
    pub(crate) fn new(method: &'static str, uri: &str) -> Self {
        Self {
            method,
            uri: uri.to_owned(),
            from: "sip:stranger@elsewhere.test".to_owned(),
            to: uri.to_owned(),
            from_tag: "stranger".to_owned(),
            to_tag: None,
            call_id: uuid::Uuid::new_v4().to_string(),
            branch: branch(),
            cseq: 1,
            extra: String::new(),
            contact: None,
        }
    }

    /// An INVITE.
    pub(crate) fn invite(uri: &str) -> Self {
        Self::new("INVITE", uri)
    }

    pub(crate) fn from(mut self, uri: &str) -> Self {
        uri.clone_into(&mut self.from);
        self
    }

    /// One more header line, without its CRLF.
    pub(crate) fn with(mut self, line: &str) -> Self {
        self.extra.push_str(line);
        self.extra.push_str("\r\n");
        self
    }

    pub(crate) fn contact(mut self, uri: &str) -> Self {
        self.contact = Some(uri.to_owned());
        self
    }

    /// As if inside the dialog in which the other side has this tag.
    pub(crate) fn in_dialog_of(mut self, tag: &str) -> Self {
        self.to_tag = Some(tag.to_owned());
        self
    }

    /// The CANCEL of this request.
    pub(crate) fn cancel(&self) -> Self {
        Self { method: "CANCEL", extra: String::new(), ..self.clone() }
    }

    /// The next request of the dialog that `answer` to this request made; the ACK keeps its number.
    pub(crate) fn within(&self, method: &'static str, answer: &Message) -> Self {
        let recorded: Vec<&str> = answer.headers("Record-Route").into_iter().rev().collect();
        let routes = if recorded.is_empty() { String::new() } else { format!("Route: {}\r\n", recorded.join(", ")) };
        Self {
            method,
            uri: answer.contact().to_owned(),
            to_tag: answer.header("To").split_once(";tag=").map(|(_, tag)| tag.to_owned()),
            branch: branch(),
            cseq: if method == "ACK" { self.cseq } else { self.cseq + 1 },
            extra: routes,
            ..self.clone()
        }
    }

    /// The ACK of a refusal of this request.
    pub(crate) fn ack_refusal(&self, answer: &Message) -> Self {
        let to_tag = answer.header("To").split_once(";tag=").map(|(_, tag)| tag.to_owned());
        Self { method: "ACK", to_tag, extra: String::new(), ..self.clone() }
    }

    /// The request on the wire, from `host:port`.
    pub(crate) fn wire(&self, address: &str) -> String {
        let Self { method, uri, from, to, from_tag, call_id, branch, cseq, extra, .. } = self;
        let to_tag = self.to_tag.as_ref().map(|tag| format!(";tag={tag}")).unwrap_or_default();
        let contact = self.contact.clone().unwrap_or_else(|| format!("sip:x@{address}"));
        format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {address};branch={branch};rport\r\nMax-Forwards: 70\r\n\
             From: <{from}>;tag={from_tag}\r\nTo: <{to}>{to_tag}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n\
             Contact: <{contact}>\r\n{extra}Content-Length: 0\r\n\r\n"
        )
    }
}

fn branch() -> String {
    format!("z9hG4bK{}", uuid::Uuid::new_v4().simple())
}

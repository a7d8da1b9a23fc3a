//! `ari` held against Asterisk: against what real nodes were recorded to say, against the fake node's faults, and against a
//! real node with its own documentation.

#[path = "ari_conformance/calls.rs"]
mod calls;
#[path = "ari_conformance/documented.rs"]
mod documented;
#[path = "ari_conformance/faults.rs"]
mod faults;
mod lab;
#[path = "ari_conformance/real.rs"]
mod real;
#[path = "ari_conformance/recorded.rs"]
mod recorded;
#[path = "ari_conformance/subject.rs"]
mod subject;
mod support;
#[path = "ari_conformance/tls.rs"]
mod tls;

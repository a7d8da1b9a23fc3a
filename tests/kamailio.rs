//! This repository's Kamailio files on real Kamailios, 5.6 and 6.1, with blocking and with asynchronous lookup: where
//! calls go, what happens when a node or kamari fails, and what the world cannot do.
//!
//! The nodes and phones here are scripted SIP endpoints and kamari is a scripted HTTP server, because these tests need
//! them to be wrong in exact ways. Real ones are in the end-to-end tests.

#[path = "kamailio/agent.rs"]
mod agent;
#[path = "kamailio/bench.rs"]
mod bench;
#[path = "kamailio/digest.rs"]
mod digest;
mod lab;
#[path = "kamailio/message.rs"]
mod message;
#[path = "kamailio/stand_in.rs"]
mod stand_in;

use std::collections::BTreeMap;
use std::time::Duration;

use agent::{Agent, Manner};
use bench::{Bench, Kind, on_each, on_each_with};
use lab::wait_until;
use message::Request;
use serde_json::json;
use stand_in::Answer;

const CALLED: &str = "sip:600@example.test";
const LONG: Duration = Duration::from_secs(20);

#[test]
fn a_call_goes_where_kamari_says_and_stays_there() {
    on_each(|bench| {
        bench.kamari().routes_to(&[("as2", &bench.nodes[1]), ("as1", &bench.nodes[0])]);
        let invite = Request::invite("sip:600@example.test:5060;transport=udp").contact("sip:x@10.9.8.7:5061");
        let answer = bench.caller.ask(&invite);
        assert_eq!(answer.status(), Some(200), "{}", answer.text());
        assert_eq!(bench.nodes[0].offered(&invite.call_id), 0);
        let offered = &bench.nodes[1].requests("INVITE", &invite.call_id)[0];
        assert_eq!(offered.uri(), CALLED, "the R-URI is what was called, without port and parameters");
        let sockets: Vec<String> = [bench.lab.core(), bench.lab.edge()].map(|host| format!("<sip:{host}")).into();
        for (route, socket) in offered.headers("Record-Route").iter().zip(&sockets) {
            assert!(route.starts_with(socket.as_str()), "{route} {socket}");
        }
        bench.nodes[1]
            .wait("the ACK", |message| message.method() == "ACK" && message.header("Call-ID") == invite.call_id);

        // In the dialog, from the caller and from the node: the caller's private Contact is not used, his address is.
        assert_eq!(bench.caller.ask(&invite.within("INFO", &answer)).status(), Some(200));
        let bye = format!(
            "BYE {} SIP/2.0\r\nVia: SIP/2.0/UDP {};branch=z9hG4bKbye\r\nMax-Forwards: 70\r\nRoute: {}\r\nRoute: {}\r\n\
             From: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: 9 BYE\r\nContent-Length: 0\r\n\r\n",
            offered.contact(),
            bench.nodes[1].address(),
            offered.headers("Record-Route")[0],
            offered.headers("Record-Route")[1],
            answer.header("To"),
            offered.header("From"),
            invite.call_id,
        );
        bench.nodes[1].send_raw(&bye);
        bench.caller.wait("the BYE of the node", |message| message.start().starts_with("BYE "));
    });
}

#[test]
fn whatever_a_caller_writes_stays_one_parameter() {
    on_each(|bench| {
        let long = format!("sip:{}@x.test", "a".repeat(400));
        let froms = [
            "sip:a&call_id=other&x=1@elsewhere.test",
            "sip:a%00%0d%0a@elsewhere.test",
            "sip:a+b;c=d@elsewhere.test;p=1?h=2",
            "sip:\u{e4}\u{1f600}#x@elsewhere.test",
            "sip:%26%3d$ci$(var(x))@elsewhere.test",
            &long,
        ];
        for from in froms {
            let before = bench.kamari().asked().len();
            let invite = Request::invite("sip:6%220&user=7@example.test").from(from);
            let answer = bench.caller.ask(&invite);
            assert_eq!(answer.status(), Some(200), "{from}: {}", answer.text());
            let asked = bench.kamari().asked();
            assert_eq!(asked.len(), before + 1);
            let query: BTreeMap<&str, String> = asked[before]
                .split('&')
                .map(|pair| pair.split_once('=').expect("a pair"))
                .map(|(key, value)| {
                    (key, percent_encoding::percent_decode_str(value).decode_utf8().unwrap().into_owned())
                })
                .collect();
            let source = bench.caller.address();
            let expected = [
                ("call_id", invite.call_id.as_str()),
                ("domain", "example.test"),
                ("from", from),
                ("src", source.split(':').next().unwrap()),
                ("to", "sip:6%220&user=7@example.test"),
                ("user", "6%220&user=7"),
            ];
            assert!(query.iter().map(|(key, value)| (*key, value.as_str())).eq(expected), "{query:?}");
            assert_eq!(asked[before].matches('&').count(), 5);
        }
        // Too long for any legitimate use: refused at the door, and kamari is not asked.
        let before = bench.kamari().asked().len();
        let mut invite = Request::invite(CALLED);
        invite.call_id = "c".repeat(300);
        assert_eq!(bench.caller.ask(&invite).status(), Some(400));
        let answer = bench.caller.ask(&Request::invite(CALLED).from(&format!("sip:{}@x.test", "a".repeat(600))));
        assert_eq!(answer.status(), Some(400));
        assert_eq!(bench.kamari().asked().len(), before);
    });
}

/// kamari that cannot hear the nodes asks for the calls that end, by the last word of its answers.
#[test]
fn calls_that_end_are_told_when_kamari_asks_for_them_and_only_then() {
    on_each(|bench| {
        let call = || {
            let invite = Request::invite(CALLED);
            let answer = bench.caller.ask(&invite);
            assert_eq!(answer.status(), Some(200), "{}", answer.text());
            (invite.within("BYE", &answer), json!({"call_id": invite.call_id, "ended": true}))
        };
        bench.kamari().routes_to(&[("as1", &bench.nodes[0])]);
        let (first, second) = (call(), call());
        let ended = std::time::Instant::now();
        assert_eq!(bench.caller.ask(&first.0).status(), Some(200));
        bench.kamari().answers(Answer::Raw(
            200,
            format!(
                r#"{{"version":"1.0","routing":"serial","routes":[{{"dst_uri":"sip:{}","node":"as1"}}],"call":{{"node":"as1","reserved_ms":10000,"tell_ends":true}}}}"#,
                bench.nodes[0].address()
            ),
        ));
        assert!(bench.kamari().outcomes().is_empty(), "not asked yet");
        let third = call();
        // What ended in the last seconds before is told as well, if the machine was not too slow for it.
        let remembered = ended.elapsed() < Duration::from_secs(3);
        assert_eq!(bench.caller.ask(&second.0).status(), Some(200));
        wait_until("the end of the second", LONG, || bench.kamari().outcomes().contains(&second.1));
        if remembered {
            // In no order: Kamailio looks for what it remembers by a timer, and tells of the second at once.
            wait_until("the end of the first", LONG, || bench.kamari().outcomes().contains(&first.1));
        }
        // A call that the application ends before it was answered ends without BYE.
        bench.nodes[0].takes(Manner::Final(486));
        let busy = Request::invite(CALLED);
        assert_eq!(bench.caller.ask(&busy).status(), Some(486));
        let told = json!({"call_id": busy.call_id, "ended": true});
        wait_until("the end of the busy one", LONG, || bench.kamari().outcomes().contains(&told));
        assert!(!bench.kamari().outcomes().contains(&third.1), "it goes on");
    });
}

#[test]
fn the_next_node_is_tried_when_a_node_fails_and_only_then() {
    on_each(|bench| {
        let [first, second] = &bench.nodes;
        for (manner, code) in [(Manner::Final(503), 503), (Manner::Final(500), 500), (Manner::Dead, 408)] {
            first.takes(manner);
            let invite = Request::invite(CALLED);
            assert_eq!(bench.caller.ask(&invite).status(), Some(200), "{manner:?}");
            assert_eq!((first.offered(&invite.call_id), second.offered(&invite.call_id)), (1, 1), "{manner:?}");
            let report = json!({"call_id": invite.call_id, "node": "as1", "code": code});
            wait_until("the outcome", LONG, || bench.kamari().outcomes().contains(&report));
        }
        // What the application says to the caller is no failure of the node.
        for code in [404, 480, 486, 603] {
            first.takes(Manner::Final(code));
            let invite = Request::invite(CALLED);
            assert_eq!(bench.caller.ask(&invite).status(), Some(code));
            assert_eq!(second.offered(&invite.call_id), 0, "{code}");
        }
        // Nor is what somebody whom it called has said, whatever the status: the cause tells.
        for (code, cause) in [(500, 38), (502, 27), (408, 18)] {
            first.takes(Manner::Cause(code, cause));
            let invite = Request::invite(CALLED);
            assert_eq!(bench.caller.ask(&invite).status(), Some(code));
            assert_eq!(second.offered(&invite.call_id), 0, "{code}");
        }
        // Congestion is the node's own.
        first.takes(Manner::Cause(503, 42));
        let invite = Request::invite(CALLED);
        assert_eq!(bench.caller.ask(&invite).status(), Some(200));
        assert_eq!(second.offered(&invite.call_id), 1);
        // Neither node: the caller is told when to come back, and both were reported.
        first.takes(Manner::Final(503));
        second.takes(Manner::Final(503));
        let invite = Request::invite(CALLED);
        let answer = bench.caller.ask(&invite);
        assert_eq!((answer.status(), answer.header("Retry-After")), (Some(503), "5"));
        wait_until("both outcomes", LONG, || {
            let of_call = |report: &&serde_json::Value| report["call_id"] == invite.call_id.as_str();
            let outcomes = bench.kamari().outcomes();
            let nodes: Vec<&serde_json::Value> =
                outcomes.iter().filter(of_call).map(|report| &report["node"]).collect();
            nodes == ["as1", "as2"]
        });
        assert_eq!(bench.kamari().outcomes().len(), 6, "{:?}", bench.kamari().outcomes());
    });
}

#[test]
fn a_node_that_only_says_trying_is_given_up_and_cancelled() {
    on_each_with(&["SITE_NODE_SETUP_MS=1000"], |bench| {
        bench.nodes[0].takes(Manner::Trying);
        let invite = Request::invite(CALLED);
        assert_eq!(bench.caller.ask(&invite).status(), Some(200));
        bench.nodes[0].wait("the CANCEL", |message| message.start().starts_with("CANCEL "));
        assert_eq!(bench.nodes[1].offered(&invite.call_id), 1);
    });
}

#[test]
fn a_call_that_rings_is_no_longer_moved() {
    on_each_with(&["SITE_NODE_SETUP_MS=1000", "SITE_RING_MS=2500"], |bench| {
        bench.nodes[0].takes(Manner::Ring);
        let invite = Request::invite(CALLED);
        let answer = bench.caller.ask(&invite);
        assert_eq!(answer.status(), Some(408), "{}", answer.text());
        assert_eq!(bench.nodes[1].offered(&invite.call_id), 0);
    });
}

#[test]
fn a_cancelled_call_is_tried_nowhere_else() {
    on_each(|bench| {
        bench.nodes[0].takes(Manner::Ring);
        let invite = Request::invite(CALLED);
        bench.caller.send(&invite);
        let of_call = |status: u16| {
            let call_id = invite.call_id.clone();
            move |message: &message::Message| message.status() == Some(status) && message.header("Call-ID") == call_id
        };
        bench.caller.wait("180", of_call(180));
        bench.caller.send(&invite.cancel());
        let answer = bench.caller.wait("487", of_call(487));
        bench.caller.send(&invite.ack_refusal(&answer));
        bench.nodes[0].wait("the CANCEL", |message| message.start().starts_with("CANCEL "));
        assert_eq!(bench.nodes[1].offered(&invite.call_id), 0);
    });
}

#[test]
fn a_call_cancelled_while_kamari_thinks_reaches_no_node() {
    let bench = Bench::new(Kind::Async, &["SITE_LOOKUP_TIMEOUT_MS=3000"]);
    bench.kamari().answers_late(Duration::from_millis(1_500));
    let invite = Request::invite(CALLED);
    bench.caller.send(&invite);
    wait_until("the question", LONG, || !bench.kamari().asked().is_empty());
    bench.caller.send(&invite.cancel());
    let answer = bench.caller.wait("487", |message| message.status() == Some(487) && message.method() == "INVITE");
    bench.caller.send(&invite.ack_refusal(&answer));
    // A later question has its answer later: when that call is through, the answer of this one has come and gone.
    assert_eq!(bench.caller.ask(&Request::invite(CALLED)).status(), Some(200));
    assert_eq!(bench.nodes.iter().map(|node| node.offered(&invite.call_id)).sum::<usize>(), 0);
}

#[test]
fn a_rejection_tells_the_caller_when_to_come_back() {
    on_each(|bench| {
        let reject = |code: u16| {
            let reject = json!({"code": code, "reason": "all nodes are full", "retry_after": 3});
            Answer::Raw(200, json!({"version": "1.0", "routing": "serial", "routes": [], "reject": reject}).to_string())
        };
        bench.kamari().answers(reject(503));
        for _ in 0..5 {
            let invite = Request::invite(CALLED);
            let answer = bench.caller.ask(&invite);
            assert_eq!((answer.status(), answer.header("Retry-After")), (Some(503), "3"));
            assert_eq!(bench.nodes.iter().map(|node| node.offered(&invite.call_id)).sum::<usize>(), 0);
        }
        assert_eq!(bench.kamari().asked().len(), 5, "a rejection is an answer: the breaker stays shut");
        bench.kamari().answers(reject(404));
        assert_eq!(bench.caller.ask(&Request::invite(CALLED)).status(), Some(404));
        bench.kamari().answers(reject(200));
        assert_eq!(bench.caller.ask(&Request::invite(CALLED)).status(), Some(503));
        // A question that kamari refuses is the caller's fault.
        bench.kamari().answers(Answer::Raw(400, json!({"field": "user"}).to_string()));
        assert_eq!(bench.caller.ask(&Request::invite(CALLED)).status(), Some(400));
    });
}

#[test]
fn calls_go_on_when_kamari_does_not_answer() {
    type Fault = fn(&mut Bench);
    let faults: [(&str, Fault); 5] = [
        ("500", |bench| bench.kamari().answers(Answer::Raw(500, "oops".into()))),
        ("404", |bench| bench.kamari().answers(Answer::Raw(404, "{}".into()))),
        ("no JSON", |bench| bench.kamari().answers(Answer::Raw(200, "{\"routes\": [[".into()))),
        ("slow", |bench| bench.kamari().answers_late(Duration::from_millis(2_500))),
        ("gone", |bench| bench.kamari = None),
    ];
    on_each_with(&["SITE_LOOKUP_TIMEOUT_MS=400", "SITE_BREAKER_OPEN_S=2"], |bench| {
        for (name, fault) in faults {
            let before = bench.kamari.as_ref().map_or(0, |kamari| kamari.asked().len());
            fault(bench);
            let mut offered = [0, 0];
            for _ in 0..8 {
                let invite = Request::invite(CALLED);
                assert_eq!(bench.caller.ask(&invite).status(), Some(200), "{name}");
                offered[0] += bench.nodes[0].offered(&invite.call_id);
                offered[1] += bench.nodes[1].offered(&invite.call_id);
            }
            assert!(offered[0] >= 3 && offered[1] >= 3, "{name}: round robin, {offered:?}");
            if let Some(kamari) = &bench.kamari {
                // Three open the breaker; on a slow machine a call may come when it is half open.
                let asked = kamari.asked().len() - before;
                assert!((3..8).contains(&asked), "{name}: asked {asked} times");
            }
            // When it answers again, calls come back to it by themselves.
            bench.revive();
            wait_until("kamari to be asked again", LONG, || {
                assert_eq!(bench.caller.ask(&Request::invite(CALLED)).status(), Some(200), "{name}");
                let before = bench.kamari().asked().len();
                assert_eq!(bench.caller.ask(&Request::invite(CALLED)).status(), Some(200), "{name}");
                bench.kamari().asked().len() > before
            });
        }
    });
}

#[test]
fn the_fallback_passes_over_nodes_that_fail() {
    on_each(|bench| {
        bench.kamari = None;
        bench.nodes[0].takes(Manner::Final(503));
        for _ in 0..4 {
            assert_eq!(bench.caller.ask(&Request::invite(CALLED)).status(), Some(200));
        }
        bench.nodes[0].takes(Manner::Dead);
        for _ in 0..4 {
            assert_eq!(bench.caller.ask(&Request::invite(CALLED)).status(), Some(200));
        }
        let said = format!("KAMARI fallback: sip:{} failed with 408", bench.nodes[0].address());
        assert!(bench.kamailio.log().contains(&said), "the log names the node");
        // Silence was noted: no further call waits for it.
        let uri = format!("sip:{}", bench.nodes[0].address());
        let state = |bench: &Bench| bench.dispatcher().iter().find(|(listed, _)| *listed == uri).expect("listed").1;
        assert_eq!(state(bench), 'I');
        // It answers OPTIONS again, and is used again; disabled, it is not, whatever it answers.
        bench.nodes[0].takes(Manner::Final(200));
        wait_until("the node to be active", LONG, || state(bench) == 'A');
        bench.kamailio.rpc("dispatcher.set_state", &["\"d\"", "1", &format!("\"{uri}\"")]).expect("disabled");
        for _ in 0..4 {
            let invite = Request::invite(CALLED);
            assert_eq!(bench.caller.ask(&invite).status(), Some(200));
            assert_eq!(bench.nodes[0].offered(&invite.call_id), 0);
        }
        // None left: said so, with a time.
        bench.nodes[1].takes(Manner::Final(503));
        let answer = bench.caller.ask(&Request::invite(CALLED));
        assert_eq!((answer.status(), answer.header("Retry-After")), (Some(503), "5"));
    });
}

#[test]
fn only_what_is_ours_passes_the_edge() {
    on_each_with(&["SITE_TRUSTED_NET=127.0.0.1/32"], |bench| {
        let invite = Request::invite(CALLED)
            .with("X-Kamari-Tenant: other.test")
            .with("x-kamari-admin: 1")
            .with("P-Asserted-Identity: <sip:boss@example.test>")
            .with("P-Preferred-Identity: <sip:boss@example.test>")
            .with("Remote-Party-ID: <sip:boss@example.test>")
            .with("X-Other: stays");
        assert_eq!(bench.caller.ask(&invite).status(), Some(200));
        let offered = bench.nodes[0].requests("INVITE", &invite.call_id)[0].text().to_lowercase();
        assert!(!offered.contains("x-kamari") && !offered.contains("boss") && offered.contains("x-other: stays"));

        let refusals = [
            // No relay, by new requests or by our own Route headers.
            (Request::invite("sip:600@foreign.test"), 403),
            (Request::invite("sip:600@192.0.2.1"), 403),
            (Request::new("BYE", "sip:x@127.0.0.99:5060").with(&bench.own_routes()).in_dialog_of("t"), 403),
            (Request::new("BYE", "sip:x@foreign.test").in_dialog_of("t"), 404),
            // Nobody is one of ours without proof.
            (Request::invite(CALLED).from("sip:alice@example.test"), 407),
            (Request::new("MESSAGE", "sip:alice@example.test"), 403),
            (Request::new("REGISTER", "sip:foreign.test").from("sip:a@foreign.test"), 403),
            // What nobody here understands.
            (Request::new("SUBSCRIBE", CALLED), 489),
            (Request::new("PUBLISH", CALLED), 405),
            (Request::new("REFER", CALLED), 405),
            (Request::new("NOTIFY", CALLED), 405),
            (Request::invite("sip:example.test"), 484),
            (Request::new("OPTIONS", &format!("sip:{}", bench.lab.edge())), 200),
            (Request::new("OPTIONS", CALLED), 200),
        ];
        for (request, status) in refusals {
            let answer = bench.caller.ask(&request);
            assert_eq!(answer.status(), Some(status), "{} {}", request.method, request.uri);
        }
        // The core socket hears the nodes' network only.
        let intruder = Agent::new(bench.lab.client_address(8), 5060, bench.lab.core());
        intruder.send(&Request::invite(CALLED));
        wait_until("the intruder to be dropped", LONG, || bench.kamailio.log().contains("core socket: INVITE from"));
        assert_eq!(intruder.received(), 0);

        let scanner = Agent::new(bench.lab.client_address(9), 5060, bench.lab.edge());
        scanner.send(&Request::invite(CALLED).with("User-Agent: friendly-scanner"));
        wait_until("the scanner to be known", LONG, || bench.kamailio.log().contains("EDGE scanner"));
        assert_eq!(scanner.received(), 0);
        // Whoever has that address is heard: a source can be forged.
        assert_eq!(scanner.ask(&Request::new("OPTIONS", CALLED)).status(), Some(200));
    });
}

#[test]
fn a_flood_is_not_answered_and_others_are() {
    on_each_with(&["SITE_TRUSTED_NET=127.0.0.1/32", "SITE_FLOOD_REQUESTS=40", "SITE_STRIKES=10"], |bench| {
        let flood = Agent::new(bench.lab.client_address(9), 5060, bench.lab.edge());
        for _ in 0..400 {
            flood.send(&Request::new("OPTIONS", CALLED));
        }
        wait_until("the flood to be banned", LONG, || bench.kamailio.log().contains("EDGE banned"));
        assert!(flood.received() < 200, "{}", flood.received());
        assert_eq!(bench.caller.ask(&Request::invite(CALLED)).status(), Some(200));
        // Guessing ends too.
        let guesser = Agent::new(bench.lab.client_address(10), 5060, bench.lab.edge());
        for _ in 0..10 {
            let wrong = guesser.register("alice", "example.test", "wrong", "sip:alice@192.0.2.9");
            assert_eq!(wrong.status(), Some(401));
        }
        let banned = format!("EDGE banned {}", bench.lab.client_address(10));
        wait_until("the guesser to be banned", LONG, || bench.kamailio.log().contains(&banned));
    });
}

#[test]
fn users_register_prove_themselves_and_are_found_by_nodes() {
    on_each_with(&["SITE_TRUSTED_NET=127.0.0.1/32", "SITE_KEEPALIVE_S=2"], |bench| {
        bench.kamailio.add_user("alice@example.test", "right-password");
        let [node, other_node] = &bench.nodes;
        let desk = Agent::new(bench.lab.client_address(20), 5062, bench.lab.edge());
        let mobile = Agent::new(bench.lab.client_address(21), 5063, bench.lab.edge());

        // Nobody has registered: known and unknown users differ.
        let to_user = |method, user: &str| Request::new(method, &format!("sip:{user}@example.test")).from(CALLED);
        assert_eq!(node.ask(&to_user("INVITE", "alice")).status(), Some(480));
        assert_eq!(node.ask(&to_user("INVITE", "nobody")).status(), Some(404));

        assert_eq!(desk.register("alice", "example.test", "wrong-password", "sip:alice@x").status(), Some(401));
        let here = format!("sip:alice@{}", desk.address());
        assert_eq!(desk.register("alice", "example.test", "right-password", &here).status(), Some(200));
        // Behind NAT: the contact is a private address, the packets come from elsewhere.
        let behind = "sip:alice@10.1.2.3:5999";
        assert_eq!(mobile.register("alice", "example.test", "right-password", behind).status(), Some(200));

        // Both phones ring; the desk answers; what is private stays inside.
        mobile.takes(Manner::Ring);
        desk.takes(Manner::Ring);
        let invite = to_user("INVITE", "alice").with("X-Kamari-App: dial");
        node.send(&invite);
        for phone in [&desk, &mobile] {
            let tag = format!("at{}", phone.address().split(':').next().expect("an address")).replace('.', "-");
            node.wait("180 of both phones", |message| {
                message.status() == Some(180) && message.header("To").ends_with(&tag)
            });
        }
        desk.picks_up();
        desk.takes(Manner::Final(200));
        let answer = node.wait("200", |message| message.status() == Some(200) && message.method() == "INVITE");
        node.send(&invite.within("ACK", &answer));
        mobile.wait("the CANCEL of the phone that was slower", |message| message.start().starts_with("CANCEL "));
        let offered = &mobile.requests("INVITE", &invite.call_id)[0];
        assert_eq!(offered.uri(), behind);
        assert!(!offered.text().contains("X-Kamari"));
        for method in ["NOTIFY", "MESSAGE"] {
            let request = to_user(method, "alice");
            assert_eq!(node.ask(&request).status(), Some(200));
            desk.wait(method, |message| message.header("Call-ID") == request.call_id && message.method() == method);
        }
        // The mapping of the router between is kept open; a phone with an address of its own is left alone.
        mobile.wait("a keepalive", |message| message.start() == format!("OPTIONS {behind} SIP/2.0"));
        assert!(desk.requests_of("OPTIONS").is_empty());
        // A user who calls is known to the node by proof, and his password stays here.
        let call = Request::invite(CALLED).from("sip:alice@example.test");
        let answer = desk.ask_as(&call, "alice", "right-password");
        assert_eq!(answer.status(), Some(200), "{}", answer.text());
        let offered = &node.requests("INVITE", &call.call_id)[0];
        assert_eq!(offered.header("P-Asserted-Identity"), "<sip:alice@example.test>");
        assert!(offered.headers("Proxy-Authorization").is_empty());
        // Not in another's name, with however right a password.
        bench.kamailio.add_user("bob@example.test", "bobs-password");
        let forged = Request::invite(CALLED).from("sip:alice@example.test");
        assert_eq!(desk.ask_as(&forged, "bob", "bobs-password").status(), Some(407));
        // Between registered users, messages pass; a call outwards does not.
        let message = Request::new("MESSAGE", "sip:alice@example.test").from("sip:bob@example.test");
        mobile.takes(Manner::Final(200));
        assert_eq!(desk.ask_as(&message, "bob", "bobs-password").status(), Some(200));
        let relay = Request::invite("sip:1@foreign.test").from("sip:bob@example.test");
        assert_eq!(desk.ask_as(&relay, "bob", "bobs-password").status(), Some(403));

        // A node reaches another node by its address.
        let leg = Request::invite(&format!("sip:relay-7@{}", other_node.address())).from(CALLED);
        assert_eq!(node.ask(&leg).status(), Some(200));
        assert_eq!(other_node.requests("INVITE", &leg.call_id)[0].uri(), leg.uri);
        // Whoever registers one of our own addresses calls himself, and that ends at the first turn.
        bench.kamailio.add_user("loop@example.test", "loop-password");
        let ourselves = format!("sip:600@{}:5060", bench.lab.edge());
        assert_eq!(mobile.register("loop", "example.test", "loop-password", &ourselves).status(), Some(200));
        assert_eq!(node.ask(&to_user("INVITE", "loop")).status(), Some(482));
        // No gateways here: nobody outside is called.
        let outwards = Request::invite("sip:+4930123456@foreign.test").from(CALLED);
        assert_eq!(node.ask(&outwards).status(), Some(404));
    });
}

#[test]
fn calls_outwards_take_the_next_gateway() {
    on_each_with(&["WITH_GATEWAYS", "SITE_DEFAULT_DOMAIN=example.test", "SITE_TRUSTED_NET=127.0.0.1/32"], |bench| {
        let gateways = [30, 31].map(|n| Agent::new(bench.lab.client_address(n), 5060, bench.lab.edge()));
        for (gateway, priority) in gateways.iter().zip(["10", "5"]) {
            let uri = format!("\"sip:{}\"", gateway.address());
            bench.kamailio.rpc("dispatcher.add", &["2", &uri, "0", priority]).expect("added");
        }
        let outwards = |number: &str| Request::invite(&format!("sip:{number}@example.test")).from(CALLED);
        let call = outwards("+4930123456").with("X-Kamari-App: dial");
        assert_eq!(bench.nodes[0].ask(&call).status(), Some(200));
        let offered = &gateways[0].requests("INVITE", &call.call_id)[0];
        assert!(!offered.text().contains("X-Kamari"));
        assert_eq!(gateways[1].offered(&call.call_id), 0);
        gateways[0].takes(Manner::Final(503));
        let call = outwards("0301234");
        assert_eq!(bench.nodes[0].ask(&call).status(), Some(200));
        assert_eq!(gateways[1].offered(&call.call_id), 1);
        gateways[0].takes(Manner::Final(486));
        assert_eq!(bench.nodes[0].ask(&outwards("0301234")).status(), Some(486));
        // Inwards: to our bare address, and with one of our domains in From, without a password.
        let inwards = Request::invite(&format!("sip:600@{}", bench.lab.edge())).from("sip:1234@example.test");
        assert_eq!(gateways[0].ask(&inwards).status(), Some(200));
        assert_eq!(bench.nodes[0].requests("INVITE", &inwards.call_id)[0].uri(), CALLED);
    });
}

#[test]
fn the_world_may_call_by_tcp_and_may_not_command() {
    on_each(|bench| {
        let invite = Request::invite(CALLED);
        let edge = (bench.lab.edge(), 5060);
        let wire = invite.wire("127.0.0.1:9").replace("SIP/2.0/UDP", "SIP/2.0/TCP");
        assert!(exchange(edge, &wire, "SIP/2.0 200 ").contains(&invite.call_id));
        assert_eq!(bench.nodes[0].offered(&invite.call_id), 1);

        let command = |method: &str| {
            let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": []}).to_string();
            format!("POST /RPC HTTP/1.1\r\nHost: kamailio\r\nContent-Length: {}\r\n\r\n{body}", body.len())
        };
        let door = (bench.lab.core(), 8090);
        assert!(exchange(edge, &command("core.version"), "HTTP/1.1 ").starts_with("HTTP/1.1 403"));
        assert!(exchange(door, &command("core.version"), "kamailio").starts_with("HTTP/1.1 200"));
        for method in ["core.kill", "cfg.set_now_int", "htable.flush", "dispatcher.reload", "dispatcher.listx", "x"] {
            assert!(exchange(door, &command(method), "HTTP/1.1 ").starts_with("HTTP/1.1 403"), "{method}");
        }
        // A name given twice, of which the guard would read one and the server the other.
        for smuggled in [
            r#"{"jsonrpc":"2.0","id":1,"method":"cfg.list","method":"core.version"}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"core.version","method":"cfg.list"}"#,
            r#"{"jsonrpc":"2.0","id":1,"Method":"cfg.list","method":"core.version"}"#,
            r#"{"jsonrpc":"2.0","id":1,"\u006dethod":"cfg.list","method":"core.version"}"#,
        ] {
            let text = format!("POST /RPC HTTP/1.1\r\nHost: k\r\nContent-Length: {}\r\n\r\n{smuggled}", smuggled.len());
            assert!(exchange(door, &text, "HTTP/1.1 ").starts_with("HTTP/1.1 400"), "{smuggled}");
        }
        let batch = "POST /RPC HTTP/1.1\r\nHost: kamailio\r\nContent-Length: 2\r\n\r\n[]";
        assert!(exchange(door, batch, "HTTP/1.1 ").starts_with("HTTP/1.1 400"));
        let elsewhere = command("core.version").replace("/RPC", "/other");
        assert!(exchange(door, &elsewhere, "HTTP/1.1 ").starts_with("HTTP/1.1 404"));
        assert_eq!(bench.caller.ask(&Request::invite(CALLED)).status(), Some(200));
    });
}

#[test]
fn our_own_sockets_are_no_way_to_be_believed() {
    // The core address lies in the nodes' network, as in most sites.
    on_each_with(&["SITE_NODES_NET=127.$B.0.0/23"], |bench| {
        let victim = Agent::new(bench.lab.client_address(40), 5060, bench.lab.edge());
        let (edge, core) = (bench.lab.edge(), bench.lab.core());
        let uri = format!("sip:+1900@{}", victim.address());
        // Through the edge to the core, which would believe that a node sends it on; and to the edge once more.
        for turn in [core, edge] {
            let routes = format!("Route: <sip:{edge};lr>, <sip:{turn};lr>");
            let request = Request::new("BYE", &uri).with(&routes).in_dialog_of("t");
            assert_eq!(bench.caller.ask(&request).status(), Some(403), "{routes}");
            let straight = Request::new("BYE", &format!("sip:+1900@{turn}")).in_dialog_of("t");
            let straight = straight.with(&format!("Route: <sip:{edge};lr>"));
            assert!(matches!(bench.caller.ask(&straight).status(), Some(403 | 404)), "{}", straight.uri);
        }
        let elsewhere = format!("sip:x@{};maddr={}", bench.nodes[0].address(), bench.lab.client_address(40));
        let by_maddr = Request::new("BYE", &elsewhere).with(&bench.own_routes()).in_dialog_of("t");
        assert_eq!(bench.caller.ask(&by_maddr).status(), Some(403));
        assert_eq!(victim.received(), 0);
    });
}

/// What comes back by TCP, up to and beyond `sign`.
fn exchange(to: (std::net::Ipv4Addr, u16), text: &str, sign: &str) -> String {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(to).expect("connected");
    stream.set_read_timeout(Some(LONG)).expect("a timeout");
    stream.write_all(text.as_bytes()).expect("written");
    let (mut got, mut buffer) = (Vec::new(), [0; 4_096]);
    while !String::from_utf8_lossy(&got).contains(sign) {
        let length = stream.read(&mut buffer).expect("an answer in time");
        assert!(length > 0, "closed before {sign}: {}", String::from_utf8_lossy(&got));
        got.extend_from_slice(&buffer[..length]);
    }
    String::from_utf8_lossy(&got).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_dispatcher_is_kept_equal_to_the_pool() {
    for kind in [Kind::Blocking, Kind::Old] {
        let bench = tokio::task::spawn_blocking(move || Bench::new(kind, &[])).await.expect("a bench");
        tokio::task::block_in_place(|| bench.keeps_the_dispatcher());
        tokio::task::spawn_blocking(move || drop(bench)).await.expect("ended");
    }
}

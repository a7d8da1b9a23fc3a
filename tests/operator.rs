//! kamari as its operator meets it: the real program, started as a process, with fake Asterisk nodes around it.

#[path = "operator/process.rs"]
mod process;
#[path = "operator/recordings.rs"]
mod recordings;
mod support;

use std::time::Duration;

use process::{Kamari, kamari, until};
use serde_json::{Value, json};
use support::fake_node::{FakeNode, IncomingCall, Lie, PASSWORD};

/// Settings with the fake nodes' password, and checks that follow each other fast.
const SETTINGS: &str = "[pool]\npoll_interval_ms = 100\npassword = \"kamari-secret\"\n[shutdown]\ndrain_s = 60\n\
    [[tenants]]\nname = \"example\"\ndomains = [\"example.test\"]\n[tenants.extensions]\n\"601\" = { app = \"echo\" }\n";

fn add(kamari: &Kamari, name: &str, node: &FakeNode) -> Value {
    let url = node.url();
    let sip = format!("sip:127.0.0.1:{}", node.address().port());
    let said = kamari.cli(&["--json", "add", name, "--ari", &url, "--sip", &sip, "--wait"], "node");
    serde_json::from_str(&said.expect("added and up")).expect("the node as JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn with_no_settings_at_all_it_answers_and_rejects() {
    let kamari = Kamari::start("").await;
    assert_eq!(kamari.get("/healthz").await, (200, "ok\n".to_owned()));
    assert_eq!(kamari.get("/readyz").await, (200, "ok\n".to_owned()));
    let (status, answer) = kamari.ask("/v1/route?call_id=a84b4c76e66710").await;
    let answer: Value = serde_json::from_str(&answer).expect("rtjson");
    assert_eq!((status, &answer["routes"], &answer["reject"]["code"]), (200, &json!([]), &json!(503)));
    assert_eq!(kamari.ask("/v1/route?user=600").await.0, 400);
    assert!(kamari.cli(&["list"], "node").expect("an empty pool").contains("The pool is empty"));
    let document = kamari.json("/openapi.json").await;
    for (path, operations) in document["paths"].as_object().expect("paths") {
        for method in operations.as_object().expect("operations").keys() {
            let (status, text) = kamari.send(method, &path.replace(['{', '}'], "")).await;
            assert!(status != 405 && !text.contains("there is no path"), "{method} {path}: {status} {text}");
        }
    }
    assert!(kamari.terminate().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_added_watched_drained_and_removed() {
    let node = FakeNode::start().await;
    let kamari = Kamari::start(SETTINGS).await;
    let added = add(&kamari, "ast1", &node);
    assert_eq!((&added["state"], &added["origin"]), (&json!("up"), &json!("runtime")));

    let routed = kamari.cli(&["--user", "601", "--domain", "example.test"], "route").expect("a node");
    assert!(routed.contains("ast1") && routed.contains("sip:601@example.test"), "{routed}");
    kamari.metric("kamari_reservations_total{event=\"released\"}", 1.0).await;

    let channel = node.call(&IncomingCall::to("601", "one@example.test")).expect("taken");
    until("the call is up", async || {
        let calls: Value = kamari.json("/v1/calls").await;
        (calls[0]["state"] == "up" && calls[0]["app"] == "echo" && calls[0]["call_id"] == "one@example.test")
            .then_some(())
    })
    .await;
    let drained = kamari.cli(&["drain", "ast1"], "node").expect("draining");
    assert!(drained.contains("takes no new calls; 1 left"), "{drained}");
    let refusal = kamari.cli(&[], "route").expect_err("nobody takes calls");
    assert!(refusal.starts_with("exit 1: kamari: rejected: 503"), "{refusal}");

    node.far_end_hangs_up(&channel);
    let drained = kamari.cli(&["drain", "ast1", "--wait", "--timeout", "30"], "node").expect("drained");
    assert_eq!(drained, "ast1 is drained\n");
    kamari.cli(&["remove", "ast1"], "node").expect("removed");
    let (_, metrics) = kamari.get("/metrics").await;
    assert!(!metrics.contains("node=\"ast1\""), "series of a removed node:\n{metrics}");
    assert_eq!(kamari.cli(&["show", "ast1"], "node"), Err("exit 1: kamari: there is no node ast1\n".to_owned()));
    kamari.terminate().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_at_run_time_survives_a_restart() {
    let (first, second) = (FakeNode::start().await, FakeNode::start().await);
    let mut kamari = Kamari::start(SETTINGS).await;
    add(&kamari, "ast1", &first);
    add(&kamari, "ast2", &second);
    kamari.cli(&["drain", "ast1"], "node").expect("draining");
    kamari.kill9().await;
    kamari.restart().await;
    let nodes = kamari.json("/v1/nodes").await;
    assert_eq!((&nodes[0]["name"], &nodes[0]["intent"]), (&json!("ast1"), &json!("draining")));
    assert_eq!((&nodes[1]["name"], &nodes[1]["intent"]), (&json!("ast2"), &json!("active")));
    kamari.cli(&["remove", "ast2"], "node").expect("removed");
    kamari.kill9().await;
    kamari.restart().await;
    assert_eq!(kamari.json("/v1/nodes").await.as_array().map(Vec::len), Some(1));
    kamari.terminate().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_cannot_be_used_says_exactly_why() {
    let (good, liar, stranger) = (FakeNode::start().await, FakeNode::start().await, FakeNode::start().await);
    let kamari = Kamari::start(SETTINGS).await;
    add(&kamari, "good", &good);
    liar.lie(Lie::WebPage);
    stranger.lie(Lie::PasswordRefused);
    for (name, ari, reason) in [
        ("nobody", "http://127.0.0.1:9".to_owned(), "connection refused"),
        ("liar", liar.url(), "the answer cannot be understood"),
        ("stranger", stranger.url(), "the user name or password is refused"),
    ] {
        kamari.cli(&["add", name, "--ari", &ari, "--sip", "sip:127.0.0.1:5999"], "node").expect("added");
        until(&format!("{name} is down because {reason}"), async || {
            let node = kamari.json(&format!("/v1/nodes/{name}")).await;
            let why = node["reason"].as_str().unwrap_or_default().to_owned();
            (node["state"] == "down" && why.contains(reason)).then_some(())
        })
        .await;
    }
    assert_eq!(kamari.json("/v1/nodes/good").await["state"], "up", "others do not notice");
    kamari.terminate().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_placed_on_a_node_that_can_make_it() {
    let nodes = [FakeNode::start().await, FakeNode::start().await];
    let kamari = Kamari::start(SETTINGS).await;
    let wanted = json!({"tenant": "example", "to": "ann", "extension": "601"});
    let (status, _, problem) = kamari.post("/v1/calls", &wanted.to_string()).await;
    assert_eq!(status, 503, "there is no node: {problem}");
    for (node, name) in nodes.iter().zip(["ast1", "ast2"]) {
        add(&kamari, name, node);
    }
    for (key, value, status) in [
        ("tenant", json!("nobody"), 404),
        ("to", json!("a b"), 400),
        ("to", json!("ann@example.test;x"), 400),
        ("extension", json!("602"), 400),
        ("ring_s", json!(0), 400),
        ("ring_s", json!(601), 400),
        ("loud", json!(true), 400),
    ] {
        let mut wrong = wanted.clone();
        wrong[key] = value;
        let (got, _, problem) = kamari.post("/v1/calls", &wrong.to_string()).await;
        assert_eq!(got, status, "{wrong}: {problem}");
        assert!(status == 404 || problem["field"] == key, "{wrong}: {problem}");
    }
    // One of the two can make no channel: the call is on the other, whichever was asked first.
    nodes[0].hang("/channels/create");
    let said = kamari.cli(&["place", "--tenant", "example", "--from", "4711", "ann", "601"], "call").expect("placed");
    assert!(said.contains("rings ann from ast2"), "{said}");
    until("the call is up", async || (kamari.json("/v1/calls").await[0]["app"] == "echo").then_some(())).await;
    let call = kamari.json("/v1/calls").await[0].clone();
    assert_eq!((&call["placed"], &call["caller"], &call["node"]), (&json!(true), &json!("ann"), &json!("ast2")));
    let id = call["id"].as_str().expect("an id");
    kamari.cli(&["hangup", id], "call").expect("hung up");
    until("it is over", async || (kamari.json("/v1/calls").await == json!([])).then_some(())).await;
    // No place is held for it any more.
    kamari.metric("kamari_node_reservations{node=\"ast2\"}", 0.0).await;
    kamari.terminate().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_requests_are_told_the_field() {
    let kamari = Kamari::start(SETTINGS).await;
    for (body, status, field) in [
        (json!({"name": "a b", "ari": "http://h", "sip": "sip:h"}), 400, "name"),
        (json!({"name": "a", "ari": "ftp://h", "sip": "sip:h"}), 400, "ari"),
        (json!({"name": "a", "ari": "http://h", "sip": "nowhere"}), 400, "sip"),
        (json!({"name": "a", "ari": "http://h", "sip": "sip:h", "capacity": 0}), 400, "capacity"),
        (json!({"name": "a", "ari": "http://h", "sip": "sip:h", "capacity": "many"}), 400, "capacity"),
        (json!({"name": "a", "ari": "http://h", "sip": "sip:h", "colour": 1}), 400, "colour"),
        (json!({"name": "a", "ari": "http://h"}), 400, "sip"),
    ] {
        let (got, kind, problem) = kamari.post("/v1/nodes", &body.to_string()).await;
        assert_eq!(
            (got, kind.as_str(), &problem["field"]),
            (status, "application/problem+json", &json!(field)),
            "{body}"
        );
    }
    let large = json!({ "name": "a".repeat(100_000) }).to_string();
    assert_eq!(kamari.post("/v1/nodes", &large).await.0, 413);
    assert_eq!(kamari.post("/v1/nodes", "{\"name\":").await.0, 400);
    assert_eq!(kamari.get("/v1/nodes/nobody").await.0, 404);
    assert_eq!(kamari.get("/v1/calls/nothing").await.0, 404);
    assert_eq!(kamari.post("/v1/status", "{}").await.0, 405);
    kamari.terminate().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_torn_state_file_is_refused_and_left_alone() {
    let mut kamari = Kamari::start(SETTINGS).await;
    kamari.kill9().await;
    for (text, said) in [("{\"version\":1,\"nodes\":[{\"na", "damaged"), ("{\"version\":99}", "version 99")] {
        std::fs::write(kamari.state_file(), text).expect("written");
        let (code, log) = kamari.fails_to_start().await;
        assert_eq!(code, Some(1));
        assert!(log.contains(said) && log.contains("state.json"), "{log}");
        assert_eq!(std::fs::read_to_string(kamari.state_file()).expect("still there"), text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_named_before_anything_begins() {
    let kamari = Kamari::start("").await;
    let twin = Kamari::prepare("").with_api(kamari.api());
    let (code, log) = twin.fails_to_start().await;
    assert_eq!(code, Some(1));
    assert!(log.contains("api.listen") && log.contains(&kamari.api().to_string()), "{log}");
    kamari.terminate().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sighup_takes_nodes_extensions_and_level_and_refuses_a_bad_file() {
    let node = FakeNode::start().await;
    let kamari = Kamari::start(SETTINGS).await;
    let declared = |capacity: u32| {
        let (url, port) = (node.url(), node.address().port());
        format!(
            "{SETTINGS}[[nodes]]\nname = \"ast1\"\nari = \"{url}\"\nsip = \"sip:127.0.0.1:{port}\"\ncapacity = {capacity}\n"
        )
    };
    kamari.write_settings(&declared(7));
    kamari.hang_up_signal();
    until("the node of the file is up", async || {
        let node = kamari.json("/v1/nodes/ast1").await;
        (node["state"] == "up" && node["origin"] == "file" && node["capacity"] == 7).then_some(())
    })
    .await;
    let channel = node.call(&IncomingCall::to("601", "kept@example.test")).expect("taken");
    until("the call is up", async || (kamari.json("/v1/calls").await[0]["state"] == "up").then_some(())).await;

    kamari.write_settings(&declared(9).replace("echo", "ehco"));
    kamari.hang_up_signal();
    kamari.log_says("a mistake in the settings; everything stays as it was").await;
    assert_eq!(kamari.json("/v1/nodes/ast1").await["capacity"], 7);

    kamari.write_settings(&declared(9).replace("poll_interval_ms = 100", "poll_interval_ms = 200"));
    kamari.hang_up_signal();
    kamari.log_says("these sections need a restart").await;
    assert_eq!(kamari.json("/v1/nodes/ast1").await["capacity"], 9);
    assert_eq!(kamari.json("/v1/calls").await[0]["call_id"], "kept@example.test", "the call did not notice");

    kamari.write_settings(SETTINGS);
    node.far_end_hangs_up(&channel);
    kamari.hang_up_signal();
    until("the node left with the file", async || (kamari.get("/v1/nodes/ast1").await.0 == 404).then_some(())).await;
    kamari.terminate().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_lets_calls_end_and_a_second_one_leaves_them_up() {
    let node = FakeNode::start().await;
    let mut kamari = Kamari::start(SETTINGS).await;
    add(&kamari, "ast1", &node);
    for (call, hang_up) in [("first@example.test", true), ("second@example.test", false)] {
        let channel = node.call(&IncomingCall::to("601", call)).expect("taken");
        until("the call is up", async || (kamari.json("/v1/calls").await[0]["state"] == "up").then_some(())).await;
        kamari.terminate_signal();
        until("readyz says no", async || (kamari.get("/readyz").await.0 == 503).then_some(())).await;
        until("the lookup is gone", async || kamari.lookup_refuses().await.then_some(())).await;
        if hang_up {
            node.far_end_hangs_up(&channel);
        } else {
            kamari.terminate_signal();
        }
        assert!(kamari.ended().await.success());
        // A call that its caller did not end is still there.
        node.until(|state| (state.channels.contains_key(&channel) != hang_up).then_some(())).await;
        kamari.restart().await;
    }
    until("the next kamari adopts the call", async || {
        let calls = kamari.json("/v1/calls").await;
        (calls[0]["adopted"] == true && calls[0]["call_id"] == "second@example.test").then_some(())
    })
    .await;
    kamari.terminate_signal();
    until("readyz says no", async || (kamari.get("/readyz").await.0 == 503).then_some(())).await;
    // Two signals at once would count as one.
    kamari.terminate_signal();
    kamari.ended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_streamed_as_they_happen() {
    let node = FakeNode::start().await;
    let kamari = Kamari::start(&format!("{SETTINGS}[api]\nmax_event_streams = 1\n")).await;
    let mut stream = kamari.events().await;
    assert_eq!(kamari.get("/v1/events").await.0, 503, "one stream is all that the settings allow");
    add(&kamari, "ast1", &node);
    stream.until("\"type\":\"node_added\"").await;
    stream.until("\"to\":\"up\"").await;
    let channel = node.call(&IncomingCall::to("601", "told@example.test")).expect("taken");
    stream.until("\"step\":\"answered\"").await;
    node.far_end_hangs_up(&channel);
    stream.until("\"step\":\"ended\"").await;
    kamari.terminate_signal();
    stream.end().await;
    kamari.terminate().await;
}

#[tokio::test]
async fn the_command_line_says_what_is_wrong_and_keeps_secrets() {
    let nobody = [("KAMARI_API", "http://127.0.0.1:9")];
    let refusal = kamari(&["node", "list"], &nobody).expect_err("nobody listens");
    assert!(refusal.starts_with("exit 3: kamari: no kamari at http://127.0.0.1:9/"), "{refusal}");
    assert!(kamari(&["node", "add", "x"], &[]).expect_err("lacks --ari").starts_with("exit 2:"));

    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("kamari.toml");
    std::fs::write(&file, "[pool]\npassword = \"s3cr3t\"\npoll_interval_ms = 5\ncolour = 1\n").expect("written");
    let file = file.to_str().expect("UTF-8");
    let refusal = kamari(&["config", "check", file], &[]).expect_err("mistakes");
    assert!(refusal.contains("kamari.toml:4:1: pool.colour: unknown field"), "{refusal}");
    assert!(refusal.contains("kamari.toml:3:1: pool.poll_interval_ms: expected a whole number"), "{refusal}");
    assert!(!refusal.contains("s3cr3t"), "{refusal}");

    std::fs::write(file, "[pool]\npassword = \"s3cr3t\"\n").expect("written");
    assert!(kamari(&["config", "check", file], &[]).expect("good").contains("good"));
    let environment = [("KAMARI_POOL__POLL_INTERVAL_MS", "500"), ("KAMARI_POOL__PASSWORD", PASSWORD)];
    let dumped = kamari(&["config", "dump", "--config", file, "--json", "--set", "pool.up_after=5"], &environment);
    let dumped = dumped.expect("settings");
    let settings: Value = serde_json::from_str(&dumped).expect("JSON");
    assert_eq!((&settings["pool"]["poll_interval_ms"], &settings["pool"]["up_after"]), (&json!(500), &json!(5)));
    assert_eq!(settings["pool"]["password"], "[redacted]");
    assert!(!dumped.contains("s3cr3t") && !dumped.contains(PASSWORD));
}

/// Anything that waits at all waits no longer than this.
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn tenants_come_from_a_folder_and_by_the_api_and_are_checked_as_a_whole() {
    let node = FakeNode::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("written");
    let tenant = |name: &str, app: &str| {
        format!(
            "[[tenants]]\nname = \"{name}\"\ndomains = [\"{name}.test\"]\n[tenants.extensions]\n\"602\" = {{ app = \"{app}\" }}\n"
        )
    };
    write("a.toml", &tenant("a", "echo"));
    let settings = format!(
        "{SETTINGS}[directory]\nfolder = \"{0}\"\nstate_file = \"{0}/added.json\"\n[cdr]\nto = \"file:{0}/cdr.jsonl\"\n",
        folder.path().display()
    );
    let mut kamari = Kamari::start(&settings).await;
    add(&kamari, "ast1", &node);
    let served = async |domain: &str, call: &str| {
        let incoming = IncomingCall { domain: domain.to_owned(), ..IncomingCall::to("602", call) };
        let channel = node.call(&incoming).expect("taken");
        let up = until("the call is served or gone", async || {
            let calls = kamari.json("/v1/calls").await;
            let ours = calls.as_array().into_iter().flatten().find(|one| one["call_id"] == call).cloned();
            match ours {
                Some(call) if call["state"] == "up" => Some(true),
                None if !node.has_channel(&channel) => Some(false),
                _ => None,
            }
        })
        .await;
        node.far_end_hangs_up(&channel);
        up
    };
    assert!(served("a.test", "1@test").await);
    assert!(!served("b.test", "2@test").await);

    // A file that is wrong changes nothing; the mistake is named with its place.
    write("b.toml", &tenant("b", "ehco"));
    let refusal = kamari.cli(&["reload"], "directory").expect_err("a mistake");
    assert!(
        refusal.starts_with("exit 1:") && refusal.contains("b.toml:5:11: tenants[0].extensions.\"602\".app"),
        "{refusal}"
    );
    let checked = kamari.cli(&["check", &folder.path().display().to_string()], "directory");
    assert!(checked.expect_err("the same mistake").contains("b.toml:5:11: "));
    assert!(!served("b.test", "3@test").await && served("a.test", "4@test").await);
    write("b.toml", &tenant("b", "echo"));
    assert_eq!(kamari.cli(&["reload"], "directory").expect("good"), "read again: files declare 3 tenants\n");
    assert!(kamari.cli(&["check", &folder.path().display().to_string()], "directory").is_ok());
    assert!(served("b.test", "5@test").await);

    // By the API: kept over kill -9, refused where it contradicts a file, and where it is a file's.
    write("c.txt", &tenant("c", "echo"));
    let file = folder.path().join("c.txt").display().to_string();
    assert_eq!(kamari.cli(&["add", &file], "tenant").expect("added"), "c added (numbers: 1)\n");
    assert!(kamari.cli(&["add", &file], "tenant").expect_err("twice").contains("there is a tenant c already"));
    assert!(kamari.cli(&["add", &file, "--replace"], "tenant").is_ok());
    let (status, _, problem) = kamari.post("/v1/tenants", r#"{"name":"d","domains":["a.test"]}"#).await;
    assert_eq!((status, &problem["field"]), (400, &json!("domains")));
    let (status, _, problem) =
        kamari.post("/v1/tenants", r#"{"name":"d","domains":[],"extensions":{"1":{"app":"nothing"}}}"#).await;
    assert_eq!((status, &problem["field"]), (400, &json!("extensions.\"1\".app")));
    assert!(kamari.cli(&["remove", "a"], "tenant").expect_err("a file's").contains("stands in a file"));
    assert_eq!(kamari.send("delete", "/v1/tenants/a").await.0, 409);
    assert_eq!(kamari.send("delete", "/v1/tenants/nobody").await.0, 404);
    kamari.kill9().await;
    kamari.restart().await;
    let listed = kamari.cli(&["list"], "tenant").expect("a list");
    assert!(listed.contains("c.test") && listed.contains("the API"), "{listed}");
    assert!(kamari.cli(&["show", "c"], "tenant").expect("shown").contains("602"), "{listed}");
    kamari.cli(&["remove", "c"], "tenant").expect("removed");
    assert_eq!(kamari.get("/v1/tenants/c").await.0, 404);
    kamari.terminate().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_go_to_a_file_that_is_opened_anew_and_to_the_stream() {
    let node = FakeNode::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let (file, moved) = (folder.path().join("cdr.jsonl"), folder.path().join("cdr.jsonl.1"));
    let mut kamari = Kamari::start(&format!("{SETTINGS}[cdr]\nto = \"file:{}\"\n", file.display())).await;
    add(&kamari, "ast1", &node);
    let mut stream = kamari.events().await;
    let records = |file: &std::path::Path| -> Vec<Value> {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).expect("a record")).collect()
    };
    let place = async |kamari: &Kamari, call: &str| {
        let channel = node.call(&IncomingCall::to("601", call)).expect("taken");
        until("the call is up", async || (kamari.json("/v1/calls").await[0]["state"] == "up").then_some(())).await;
        channel
    };
    let first = place(&kamari, "1@test").await;
    node.far_end_hangs_up(&first);
    stream.until("event: cdr").await;
    until("it is written", async || (records(&file).len() == 1).then_some(())).await;
    std::fs::rename(&file, &moved).expect("moved");
    kamari.hang_up_signal();
    until("the file is opened anew", async || file.exists().then_some(())).await;

    // A call that one kamari saw begin and another saw end has one record.
    let second = place(&kamari, "2@test").await;
    kamari.kill9().await;
    kamari.restart().await;
    until("the call is found", async || (kamari.json("/v1/calls").await[0]["adopted"] == true).then_some(())).await;
    node.far_end_hangs_up(&second);
    until("it is written", async || (!records(&file).is_empty()).then_some(())).await;
    kamari.terminate().await;
    let said = |records: &[Value]| -> Vec<(Value, Value)> {
        records.iter().map(|record| (record["call_id"].clone(), record["adopted"].clone())).collect()
    };
    assert_eq!(said(&records(&moved)), [(json!("1@test"), json!(false))]);
    assert_eq!(said(&records(&file)), [(json!("2@test"), json!(true))]);
}

//! The lab itself, held against what the other tests rely on; and the generic node's files on real Asterisk.

#[path = "lab_works/app.rs"]
mod app;
mod lab;

use std::net::{SocketAddr, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use app::Conference;
use lab::{AsteriskVersion, KamailioVersion, Lab, audio, wait_until};

/// Generous: for what happens at once unless something is broken.
const SOON: Duration = Duration::from_secs(20);

#[test]
fn the_same_files_serve_asterisk_22_and_16() {
    let lab = Lab::start();
    for (version, n, release) in [(AsteriskVersion::V22, 1, "22."), (AsteriskVersion::V16, 2, "16.")] {
        let node = lab.node_of(version, n);
        let info = node.ari("GET", "/asterisk/info").unwrap();
        assert!(info["system"]["version"].as_str().unwrap().starts_with(release), "{info}");
        assert_eq!(info["config"]["name"], node.name());
        assert!(node.cli("pjsip show endpoint kamailio").contains("from-kamailio"));
        assert!(node.cli("module show like chan_pjsip").contains("Running"));
    }
    lab.assert_nodes_empty();
}

#[test]
fn a_node_without_an_application_holds_a_call_and_then_sends_it_elsewhere() {
    let lab = Lab::start();
    let node = lab.node(1);
    let report = lab.calls("600").from(lab.core()).to(node.address).run();
    assert_eq!(report.codes().into_iter().collect::<Vec<_>>(), [(503, 1)], "{}", report.errors);
    let held = report.calls[0].setup.unwrap();
    assert!(held > Duration::from_secs(3), "given up after {held:?}");
    // The name of the extension that Asterisk enters when a call ends.
    let report = lab.calls("h").from(lab.core()).to(node.address).run();
    assert_eq!(report.codes().into_iter().collect::<Vec<_>>(), [(404, 1)], "{}", report.errors);
    lab.assert_nodes_empty();
}

#[test]
fn a_held_call_is_answered_when_the_application_comes_back() {
    let lab = Lab::start();
    let node = lab.node(1);
    // Names, and single letters that Asterisk's dialplan has its own ideas about, are users like any other.
    for user in ["600", "alice", "+4930123", "i", "t", "hello"] {
        let calls = lab.calls(user).from(lab.core()).to(node.address).hold(Duration::from_millis(100)).start();
        wait_until("the node to hold the call", SOON, || node.channels() == 1);
        let conference = Conference::on(&node, &lab.ari_password());
        let report = calls.wait();
        report.assert_all_answered();
        assert_eq!(report.calls[0].answered_by, Some(node.address));
        assert_eq!(conference.end().called, [user]);
        wait_until("the call to leave the node", SOON, || node.channels() == 0);
    }
    assert_eq!(node.calls_processed(), 6, "no call came twice");
    lab.assert_nodes_empty();
}

#[test]
fn a_caller_who_gives_up_leaves_nothing_on_the_node() {
    let lab = Lab::start();
    let node = lab.node(1);
    let report =
        lab.calls("600").from(lab.core()).to(node.address).count(3).cancel_after(Duration::from_millis(300)).run();
    assert_eq!(report.codes().into_iter().collect::<Vec<_>>(), [(487, 3)], "{}", report.errors);
    assert_eq!(report.all_as_planned, Some(true), "{}", report.errors);
    lab.assert_nodes_empty();
}

#[test]
fn phones_hear_each_other_and_only_what_is_there() {
    let lab = Lab::start();
    let node = lab.node(1);
    let conference = Conference::on(&node, &lab.ari_password());
    let from = |port| std::net::SocketAddrV4::new(lab.core(), port);
    let one = lab.phone(1).from(from(5070)).via(node.address).tone(440.0).call("600");
    let other = lab.phone(2).from(from(5080)).via(node.address).tone(1000.0).call("600");
    // The first pieces hold the joining; what is measured begins when both are in.
    one.listen(Duration::from_millis(500));
    other.listen(Duration::from_millis(500));
    let (at_one, at_other) = (one.listen(Duration::from_secs(2)), other.listen(Duration::from_secs(2)));
    assert!(audio::hears(&at_one, 1000.0) > 0.9, "one hears the other: {}", audio::hears(&at_one, 1000.0));
    assert!(audio::hears(&at_other, 440.0) > 0.9, "the other hears one: {}", audio::hears(&at_other, 440.0));
    assert!(audio::hears(&at_one, 440.0) < 0.1 && audio::hears(&at_other, 1000.0) < 0.1, "nobody hears himself");
    assert!(audio::hears(&at_one, 700.0) < 0.1, "nobody hears what nobody says");
    assert!(audio::level_dbfs(&at_one, 1000.0) > -18.0, "{}", audio::level_dbfs(&at_one, 1000.0));
    assert!(one.hang_up().samples.len() > 2 * audio::RATE as usize);
    other.hang_up();
    conference.end();
    lab.assert_nodes_empty();
}

#[test]
fn sent_audio_is_found_in_what_another_hears() {
    let lab = Lab::start();
    let node = lab.node(1);
    let conference = Conference::on(&node, &lab.ari_password());
    let speech = audio::noise(5, -12.0, 30.0);
    let from = |port| std::net::SocketAddrV4::new(lab.core(), port);
    let listener = lab.phone(1).from(from(5070)).via(node.address).call("600");
    let speaker = lab.phone(2).from(from(5080)).via(node.address).says(speech.clone()).call("600");
    speaker.listen(Duration::from_secs(1));
    let heard = listener.listen(Duration::from_secs(3));
    // Somewhere in what was said during these seconds stands a piece of what was heard.
    let found = audio::find(&heard[8000..10_000], &speech[..12 * 8000]);
    assert!(found.likeness > 0.9, "{found:?}");
    let elsewhere = audio::find(&audio::noise(6, -12.0, 0.25), &heard);
    assert!(elsewhere.likeness < 0.3, "{elsewhere:?}");
    speaker.hang_up();
    listener.hang_up();
    conference.end();
}

#[test]
fn calls_pass_kamailio_of_both_versions_to_a_node() {
    let lab = Lab::start();
    let node = lab.node(1);
    let conference = Conference::on(&node, &lab.ari_password());
    for version in [KamailioVersion::V6_1, KamailioVersion::V5_6] {
        let kamailio = lab.kamailio(version, &["NODES=1,2", "SITE_WORKERS=4"]);
        let list = kamailio.rpc("dispatcher.list", &[]).unwrap().to_string();
        for n in [1, 2] {
            assert!(list.contains(&format!("sip:{}:5060", lab.node_address(n))), "{list}");
        }
        kamailio.add_user("alice@example.test", "secret-of-alice");
        let mut phone = lab.phone(1).user("alice", lab::DOMAIN, "secret-of-alice").start();
        phone.register().unwrap();
        drop(phone);
        let mut stranger = lab.phone(1).user("alice", lab::DOMAIN, "not-her-secret").start();
        stranger.register().unwrap_err();
        drop(stranger);
        // kamari is not there: Kamailio takes the nodes of its dispatcher's list, of which one runs.
        let calls = lab.calls("600").caller("alice", lab::DOMAIN, "secret-of-alice");
        let report = calls.count(10).rate(20.0).hold(Duration::from_millis(500)).run();
        report.assert_all_answered();
        assert_eq!(report.by_node().into_iter().collect::<Vec<_>>(), [(node.address, 10)]);
        kamailio.kill9();
    }
    assert_eq!(conference.end().called, ["600"; 20]);
    lab.assert_nodes_empty();
}

#[test]
fn a_node_calls_registered_users_through_kamailio() {
    let lab = Lab::start();
    let node = lab.node(1);
    let conference = Conference::on(&node, &lab.ari_password());
    let kamailio = lab.kamailio(KamailioVersion::V6_1, &[]);
    let call = |user: &str| {
        let endpoint = format!("endpoint=PJSIP/kamailio/sip:{user}@{}&app=EVERYTHING", lab::DOMAIN);
        node.ari("POST", &format!("/channels?{endpoint}")).unwrap();
    };

    // A phone hears another one, that the node called as well; keys arrive as keys.
    let [mut one, other] = [("alice", 1, 440.0), ("bob", 2, 1000.0)].map(|(user, n, hertz)| {
        kamailio.add_user(&format!("{user}@{}", lab::DOMAIN), "a-good-secret");
        let mut phone = lab.phone(n).user(user, lab::DOMAIN, "a-good-secret").tone(hertz).answering().start();
        phone.register().unwrap();
        call(user);
        phone.wait_called();
        phone
    });
    one.dtmf("1#");
    other.listen(Duration::from_millis(500));
    let heard = other.listen(Duration::from_secs(1));
    assert!(audio::hears(&heard, 440.0) > 0.7, "{}", audio::hears(&heard, 440.0));
    one.hang_up();
    other.hang_up();

    // The same by SIPp: one who answers, one who refuses.
    kamailio.add_user(&format!("carol@{}", lab::DOMAIN), "a-good-secret");
    let carol = lab.calls("carol").caller("carol", lab::DOMAIN, "a-good-secret").registering();
    let address = carol.address();
    assert_eq!(carol.run().all_as_planned, Some(true));
    let busy = lab.calls("carol").from(address).refusing().start();
    call("carol");
    assert_eq!(busy.wait().all_as_planned, Some(true));
    let answering = lab.calls("carol").from(address).answering().start();
    call("carol");
    wait_until("carol to be in the conference", SOON, || node.channels() == 1);
    let id = node.ari("GET", "/channels").unwrap()[0]["id"].as_str().unwrap().to_owned();
    wait_until("carol to have answered", SOON, || {
        node.ari("GET", &format!("/channels/{id}")).is_ok_and(|channel| channel["state"] == "Up")
    });
    node.ari("DELETE", &format!("/channels/{id}")).unwrap();
    let report = answering.wait();
    assert_eq!(report.all_as_planned, Some(true), "{}", report.errors);
    assert_eq!(conference.end().keys, "1#");
    lab.assert_nodes_empty();
}

#[test]
fn labs_run_side_by_side() {
    let (one, other) = (Lab::start(), Lab::start());
    assert_ne!(one.node_address(1), other.node_address(1));
    let (node_of_one, node_of_other) = (one.node(1), other.node(1));
    node_of_one.kill9();
    assert_eq!(node_of_other.channels(), 0, "the other lab's node answers");
    node_of_one.restart();
    assert_eq!(node_of_one.channels(), 0);
}

#[test]
fn a_frozen_node_does_not_answer_until_it_is_thawed() {
    let lab = Lab::start();
    let node = lab.node(1);
    node.stop();
    let ping = Command::new("curl").args(["-s", "-m", "1", &format!("{}/asterisk/ping", node.ari_url())]).status();
    assert_eq!(ping.unwrap().code(), Some(28), "curl says that it timed out");
    node.cont();
    assert_eq!(node.channels(), 0);
}

/// What must be gone when a lab is: its run directory and everything that listens.
fn assert_gone(run: &Path, node_http: SocketAddr) {
    wait_until("the lab to vanish", SOON, || !run.exists() && TcpStream::connect(node_http).is_err());
}

#[test]
fn a_panic_leaves_nothing_behind_but_the_logs() {
    let mut at = None;
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let lab = Lab::start();
        let node = lab.node(1);
        at = Some((lab.directory().to_owned(), SocketAddr::from((node.address, 8088))));
        panic!("as a failing test does");
    }));
    outcome.unwrap_err();
    let (run, http) = at.unwrap();
    assert_gone(&run, http);
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/lab-logs");
    let mine = std::fs::read_dir(kept).unwrap().flatten().map(|entry| entry.path());
    let mine: Vec<PathBuf> = mine.filter(|path| path.to_string_lossy().contains("a_panic_leaves_nothing")).collect();
    assert!(mine.iter().any(|place| place.join("node1/log/messages.log").is_file()), "{mine:?}");
    for place in mine {
        std::fs::remove_dir_all(place).unwrap();
    }
}

/// Set for the process that the next test kills.
const VICTIM: &str = "KAMARI_LAB_VICTIM";

#[test]
fn a_killed_test_leaves_nothing_behind() {
    if std::env::var_os(VICTIM).is_some() {
        let lab = Lab::start();
        let node = lab.node(1);
        println!("victim {} {}", lab.directory().display(), node.address);
        std::thread::sleep(Duration::from_mins(10));
        return;
    }
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["a_killed_test_leaves_nothing_behind", "--exact", "--nocapture"])
        .env(VICTIM, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(victim.stdout.take().unwrap()));
    // The harness prints `test NAME ... ` on the same line first.
    let line =
        lines.by_ref().map_while(Result::ok).find(|line| line.contains("victim /")).expect("the victim's lab is up");
    let words: Vec<&str> = line.split_whitespace().rev().collect();
    let (address, run) = (words[0].parse().unwrap(), PathBuf::from(words[1]));
    assert!(run.exists());
    victim.kill().unwrap();
    victim.wait().unwrap();
    assert_gone(&run, SocketAddr::new(address, 8088));
}

#[test]
fn no_tenant_extension_or_node_is_named_in_the_nodes_files() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("asterisk/etc");
    let mut files = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let settings: Vec<&str> = text.lines().map(|line| line.split(';').next().unwrap_or_default().trim()).collect();
        for setting in &settings {
            for named in [lab::DOMAIN, lab::OTHER_DOMAIN, "node1", "tenant", "127.", "sip:", "password ="] {
                assert!(!setting.contains(named), "{}: {setting}", path.display());
            }
        }
        if path.ends_with("extensions.conf") {
            let extensions: Vec<&&str> = settings.iter().filter(|line| line.starts_with("exten")).collect();
            assert_eq!(extensions.len(), 2, "one pattern for every call, and the end of a call: {extensions:?}");
            assert_eq!(*extensions[0], "exten => _[!-~]!,1(ask),Stasis(EVERYTHING)", "before all else");
            assert!(extensions[1].starts_with("exten => h,"), "{}", extensions[1]);
        }
        files += 1;
    }
    assert!(files >= 10, "found {files} files");
}

#[test]
fn the_guide_shows_the_dialplan_and_every_file() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let guide = std::fs::read_to_string(repository.join("docs/guide-asterisk.md")).unwrap();
    let dialplan = std::fs::read_to_string(repository.join("asterisk/etc/extensions.conf")).unwrap();
    let steps: Vec<&str> =
        dialplan.lines().filter(|line| line.starts_with("exten") || line.starts_with(" same")).collect();
    assert!(
        guide.contains(&steps.join("\n")),
        "docs/guide-asterisk.md shows another dialplan than:\n{}",
        steps.join("\n")
    );
    let named_by_their_first_line = ["manager", "cdr", "cel", "features", "acl", "ccss", "udptl", "pjproject"];
    for entry in std::fs::read_dir(repository.join("asterisk/etc")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let small = named_by_their_first_line.iter().any(|part| name.starts_with(part));
        assert!(small || guide.contains(&format!("`{name}`")), "docs/guide-asterisk.md does not explain {name}");
    }
}

#[test]
fn make_node_refuses_what_would_break_a_node() {
    let directory = tempfile::tempdir().unwrap();
    let password = directory.path().join("password");
    std::fs::write(&password, "long-enough-secret\n").unwrap();
    let outcome_of = |name: &str, address: &str, kamailio: &str, rtp: &str| {
        let output = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/asterisk/make-node"))
            .args(["--name", name, "--address", address, "--kamailio", kamailio, "--rtp", rtp])
            .arg("--password-file")
            .arg(&password)
            .arg("--etc")
            .arg(directory.path().join("etc"))
            .arg("--state")
            .arg(directory.path().join("state"))
            .output()
            .unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let good = ("ast-1", "10.0.0.11", "10.0.0.5:5060", "10000-19999");
    assert_eq!(outcome_of(good.0, good.1, good.2, good.3), (true, String::new()));
    for (field, (made, said)) in [
        ("--name", outcome_of("a;b", good.1, good.2, good.3)),
        ("--name", outcome_of("a\nb", good.1, good.2, good.3)),
        ("--address", outcome_of(good.0, "node.example", good.2, good.3)),
        ("--kamailio", outcome_of(good.0, good.1, "10.0.0.5", good.3)),
        ("--kamailio", outcome_of(good.0, good.1, "10.0.0.5:99999", good.3)),
        ("--rtp", outcome_of(good.0, good.1, good.2, "20000-10000")),
    ] {
        assert!(!made && said.contains(&format!("{field}: expected")), "{field}: {said}");
    }
    std::fs::write(&password, "semi;colon-in-it\n").unwrap();
    let (made, said) = outcome_of(good.0, good.1, good.2, good.3);
    assert!(!made && said.contains("--password-file: expected"), "{said}");
}

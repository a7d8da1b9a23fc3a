//! A room spans nodes: performance alone decides where each caller is, and they hear each other all the same.

use crate::lab::audio::{RATE, find, level_dbfs, mean_level_dbfs, noise, tone};
use crate::lab::{Node, OTHER_DOMAIN, Phone, wait_until};
use crate::stage::{SOON, Stage};
use std::collections::BTreeSet;
use std::time::Duration;

/// A tone of a phone arrives at -12 dBFS; one that is heard at all is far above this, silence and noise far below.
const HEARD_DBFS: f64 = -25.0;
const SILENT_DBFS: f64 = -50.0;
/// The level of each of six who speak at once: louder, their sum would be cut off, and what that adds is heard by all.
const SIX_DBFS: f64 = -20.0;
/// Long enough to measure a level, short enough to see soon that it has changed.
const A_MOMENT: Duration = Duration::from_millis(500);
/// How soon those who are left must hear each other again when a leg or the home node is lost.
const BACK_WITHIN: Duration = Duration::from_secs(2);

/// Three callers on one node, then three on three nodes: the same audio. Meanwhile another tenant's room of the same name
/// and number spans the same nodes. Then a leg is lost.
#[test]
fn callers_on_three_nodes_hear_each_other_as_on_one() {
    let stage = Stage::of(3);
    let tones = [440_u32, 620, 880];
    let phones: Vec<Phone> = (1..).zip(tones).map(|(number, tone)| caller(&stage, 0, number, tone)).collect();
    assert_eq!(nodes_of(&stage, "example").len(), 1, "all are on one node");
    let on_one = levels(&phones, &tones);
    end(phones);
    wait_until("all to be gone", SOON, || stage.calls() == 0);

    let phones = three_callers(&stage, 4, &tones);
    let strangers: Vec<Phone> = [1_100.0, 1_400.0]
        .into_iter()
        .zip(7..)
        .map(|(tone, number)| {
            on_node(&stage, usize::from(number) - 7, || {
                stage.lab.phone(number).user(&format!("phone{number}"), OTHER_DOMAIN, "").tone(tone).call("200")
            })
        })
        .collect();
    wait_until("all five to be in", SOON, || stage.calls() == 5 && legs(&stage).len() == 3);
    assert_eq!(nodes_of(&stage, "other").len(), 2, "the other tenant's room spans nodes too");
    let spread = levels(&phones, &tones);
    for (listener, (one, three)) in on_one.iter().zip(&spread).enumerate() {
        for (tone, (one, three)) in tones.iter().zip(one.iter().zip(three)) {
            if *tone == tones[listener] {
                assert!(
                    *one < SILENT_DBFS && *three < SILENT_DBFS,
                    "nobody hears himself: {tone} Hz at {three:.1} dBFS"
                );
            } else {
                println!("{} Hz hears {tone} Hz at {one:.1} dBFS on one node, {three:.1} on three", tones[listener]);
                assert!((one - three).abs() < 3.0, "{tone} Hz: {one:.1} dBFS on one node, {three:.1} dBFS on three");
            }
        }
    }
    // Legs are no members, no calls of their own, and count in the load of both their nodes.
    let room = stage.kamari.get("/v1/rooms/example/200");
    assert_eq!(room["members"].as_array().map(Vec::len), Some(3), "{room}");
    let load = |node: &str| stage.node_field(node, "calls").parse::<usize>().expect("a number");
    wait_until("the load of five calls and the six ends of three legs", SOON, || {
        ["node1", "node2", "node3"].map(load).iter().sum::<usize>() == 11
    });

    // Nobody of one tenant hears anybody of the other.
    let heard: Vec<_> = phones.iter().chain(&strangers).map(|phone| phone.listen(Duration::from_secs(1))).collect();
    for samples in &heard[..3] {
        assert!([1_100.0, 1_400.0].iter().all(|tone| level_dbfs(samples, *tone) < SILENT_DBFS), "a shared tone");
    }
    for (samples, other) in heard[3..].iter().zip([1_400.0, 1_100.0]) {
        assert!(tones.iter().all(|tone| level_dbfs(samples, (*tone).into()) < SILENT_DBFS), "a shared tone");
        assert!(level_dbfs(samples, other) > HEARD_DBFS, "the tenant's own members are heard");
    }
    end(strangers);
    wait_until("the strangers to be gone", SOON, || stage.calls() == 3 && legs(&stage).len() == 2);

    // A leg between two nodes is cut: it is dialled again, and the callers stay where they are.
    let home = room["home"].as_str().expect("a home").to_owned();
    let at_home = phone_on(&stage, &home, 4);
    let (cut, away) = legs(&stage).into_iter().next().expect("a leg");
    let listener = phone_on(&stage, &away, 4);
    let before = phones[listener].recorded().len();
    stage.nodes.iter().find_map(|node| node.ari("DELETE", &format!("/channels/{cut}")).ok()).expect("it is there");
    wait_until("another leg", SOON, || {
        let now = legs(&stage);
        now.len() == 2 && now.iter().all(|(id, _)| *id != cut)
    });
    let tone = f64::from(tones[at_home]);
    wait_until("the tone again", SOON, || level_dbfs(&phones[listener].listen(A_MOMENT), tone) > HEARD_DBFS);
    let gap = longest_gap(&phones[listener].recorded()[before..], tone);
    println!("a leg was cut: {} ms without audio", gap.as_millis());
    assert!(gap > Duration::ZERO, "the leg carried the audio: without it there is none");
    assert!(gap < BACK_WITHIN, "audio was away for {gap:?}");
    levels(&phones, &tones);
    assert_eq!(stage.calls(), 3);
    end(phones);
    stage.assert_nothing_left();
}

#[test]
fn the_others_stay_together_when_the_home_node_dies() {
    let stage = Stage::of(3);
    let tones = [440_u32, 620, 880];
    let phones = three_callers(&stage, 1, &tones);
    levels(&phones, &tones);
    let room = stage.kamari.get("/v1/rooms/example/200");
    let home = stage.nodes.iter().find(|node| room["home"] == node.name().as_str()).expect("one of the nodes");
    let dead = phone_on(&stage, &home.name(), 1);
    let alive: Vec<usize> = (0..3).filter(|at| *at != dead).collect();
    let before = alive.iter().map(|at| phones[*at].recorded().len()).collect::<Vec<_>>();
    home.kill9();
    wait_until("two calls alone", SOON, || stage.calls() == 2);
    for (at, other) in [(alive[0], alive[1]), (alive[1], alive[0])] {
        let tone = tones[other].into();
        wait_until("the other again", SOON, || level_dbfs(&phones[at].listen(A_MOMENT), tone) > HEARD_DBFS);
    }
    for (index, (at, other)) in [(alive[0], alive[1]), (alive[1], alive[0])].into_iter().enumerate() {
        let gap = longest_gap(&phones[at].recorded()[before[index]..], tones[other].into());
        println!("the home node was killed: {} ms without audio", gap.as_millis());
        assert!(gap > Duration::ZERO, "home carried the audio: without it there is none");
        assert!(gap < BACK_WITHIN, "audio was away for {gap:?}");
    }
    end(phones);
    stage.assert_nothing_left();
}

#[test]
fn twenty_members_on_three_nodes_hear_each_other() {
    let stage = Stage::of(3);
    // Most members are silent; six speak, and are asked what they hear.
    let silent = stage.lab.calls("200").count(14).rate(10.0).until_hung_up().start();
    wait_until("fourteen to be in", SOON, || stage.calls() == 14);
    let tones = [440_u32, 530, 620, 710, 880, 1_060];
    let phones: Vec<Phone> = (1..)
        .zip(tones)
        .map(|(number, hertz)| {
            on_node(&stage, usize::from(number) % 3, || {
                stage.lab.phone(number).says(tone(hertz.into(), SIX_DBFS, 120.0)).call("200")
            })
        })
        .collect();
    let room = || stage.kamari.get("/v1/rooms/example/200");
    wait_until("twenty to be in", SOON, || room()["members"].as_array().is_some_and(|members| members.len() == 20));
    assert_eq!(room()["nodes"].as_array().map(Vec::len), Some(3));
    levels(&phones, &tones);
    end(phones);
    for call in calls(&stage) {
        // The phones' own calls may just be ending.
        let silent = call["caller"] == "caller";
        let hung_up = stage.kamari.cli(&["call", "hangup", call["id"].as_str().expect("an id")]);
        assert!(!silent || hung_up.is_ok(), "{hung_up:?}");
    }
    silent.wait().assert_all_answered();
    stage.assert_nothing_left();
}

/// What a node more on the way costs in delay. Two speak noise, each on a node of his own, and two listen there. What one
/// listener hears sooner or later than the other is twice the added delay, whenever their recordings began.
#[test]
fn the_delay_that_a_leg_adds_is_known() {
    let stage = Stage::of(2);
    let said = [noise(1, -15.0, 20.0), noise(2, -15.0, 20.0)];
    let mut phones = Vec::new();
    for (number, node) in (1..).zip([0, 1, 0, 1]) {
        let says = if number > 2 { said[node].clone() } else { Vec::new() };
        phones.push(on_node(&stage, node, || stage.lab.phone(number).says(says).call("200")));
        assert_eq!(node_of(&stage, number), stage.nodes[node].name());
    }
    phones[0].listen(Duration::from_secs(5));
    let heard: Vec<_> = phones[..2].iter().map(Phone::recorded).collect();
    end(phones);
    // A quarter of a second of what each said, once all had begun. Of two who speak at once each is at most 0.71 alike, and a
    // leg's codec takes some of that; noise that is not there stays below 0.1.
    let at = |listener: usize, speaker: usize| {
        let begin = if speaker == 0 { 4 * RATE as usize } else { 2 * RATE as usize };
        let found = find(&said[speaker][begin..][..RATE as usize / 4], &heard[listener]);
        assert!(found.likeness > 0.25, "{listener} heard {speaker}: {:.2}", found.likeness);
        found.delay as f64 / f64::from(RATE) * 1_000.0
    };
    let there_and_back = (at(1, 0) - at(0, 0)) + (at(0, 1) - at(1, 1));
    println!("a leg between nodes adds {:.1} ms one way", there_and_back / 2.0);
    assert!(there_and_back > 0.0, "audio does not arrive before it was sent: {there_and_back}");
    stage.assert_nothing_left();
}

/// PINs and the menu, by keys as phones send them (RFC 4733), in a room of two: bridges of two are where a node would hand
/// audio through and keep keys to itself.
#[test]
fn keys_lead_a_room() {
    let stage = Stage::of(1);
    let room = || stage.kamari.get("/v1/rooms/example/led");
    let mut moderator = stage.lab.phone(1).tone(440.0).call("300");
    enters(&mut moderator, "4711#");
    wait_until("the moderator to be in", SOON, || stage.open_rooms() == 1);
    let mut member = stage.lab.phone(2).tone(620.0).call("300");
    enters(&mut member, "12#");
    wait_until("both to be in", SOON, || room()["members"].as_array().is_some_and(|members| members.len() == 2));
    assert_eq!(room()["members"][0]["role"], "moderator");
    wait_until("the member's tone", SOON, || level_dbfs(&moderator.listen(A_MOMENT), 620.0) > HEARD_DBFS);
    member.dtmf("*1");
    wait_until("him to be muted", SOON, || room()["members"][1]["muted"] == true);
    wait_until("silence", SOON, || level_dbfs(&moderator.listen(A_MOMENT), 620.0) < SILENT_DBFS);
    moderator.dtmf("*2");
    wait_until("the room to be locked", SOON, || room()["locked"] == true);
    moderator.dtmf("*3");
    member.wait_hung_up(SOON);
    moderator.hang_up();
    stage.assert_nothing_left();
}

/// Types his PIN once he has heard the beep that asks for it: keys in the first packets of a call are lost, as the node must first
/// learn where its media come from.
pub(crate) fn enters(phone: &mut Phone, pin: &str) {
    wait_until("him to be asked", SOON, || phone.recorded().len() >= RATE as usize / 5);
    phone.dtmf(pin);
}

/// Three callers of room 200, phones from this number on, each on a node of his own.
fn three_callers(stage: &Stage, first: u8, tones: &[u32; 3]) -> Vec<Phone> {
    let places = (0..).zip(first..).zip(tones);
    let phones = places.map(|((node, number), tone)| caller(stage, node, number, *tone)).collect();
    assert_eq!(nodes_of(stage, "example").len(), 3, "each is on a node of his own");
    phones
}

/// A caller of room 200 on this node.
fn caller(stage: &Stage, node: usize, number: u8, tone: u32) -> Phone {
    on_node(stage, node, || stage.lab.phone(number).tone(tone.into()).call("200"))
}

/// Calls while no other node takes calls. Where performance alone would put him depends on the machine: a node that set a call
/// up slowly a moment ago is passed over.
pub(crate) fn on_node(stage: &Stage, at: usize, call: impl FnOnce() -> Phone) -> Phone {
    let before = stage.calls();
    let others: Vec<String> =
        stage.nodes.iter().map(Node::name).filter(|name| *name != stage.nodes[at].name()).collect();
    for other in &others {
        stage.kamari.cli(&["node", "drain", other]).expect("drained");
    }
    let phone = call();
    wait_until("the caller to be in", SOON, || stage.calls() == before + 1);
    for other in &others {
        stage.kamari.cli(&["node", "undrain", other]).expect("undrained");
        wait_until("the node to be eligible", SOON, || stage.node_field(other, "eligible") == "true");
    }
    phone
}

fn end(phones: Vec<Phone>) {
    for phone in phones {
        phone.hang_up();
    }
}

/// At what level each phone hears each tone, once it hears all but his own; nobody hears himself.
fn levels(phones: &[Phone], tones: &[u32]) -> Vec<Vec<f64>> {
    let hear = |(phone, own): (&Phone, &u32)| {
        let others = || tones.iter().filter(|other| *other != own);
        wait_until("the others' tones", SOON, || {
            let heard = phone.listen(A_MOMENT);
            others().all(|other| level_dbfs(&heard, (*other).into()) > HEARD_DBFS)
        });
        let heard = phone.listen(Duration::from_secs(1));
        // A long coherent look for the faintest trace of himself; the power for what jitter may have slipped a frame of.
        let level = |tone: &u32| {
            let look = if tone == own { level_dbfs } else { mean_level_dbfs };
            look(&heard, (*tone).into())
        };
        let levels: Vec<f64> = tones.iter().map(level).collect();
        for (tone, level) in tones.iter().zip(&levels) {
            assert_eq!(*level > HEARD_DBFS, tone != own, "{own} Hz hears {tone} Hz at {level:.1} dBFS");
            assert!(tone != own || *level < SILENT_DBFS, "nobody hears himself: {tone} Hz at {level:.1} dBFS");
        }
        levels
    };
    phones.iter().zip(tones).map(hear).collect()
}

/// The longest time for which a tone was not heard, by windows of a packet's length (20 ms) that overlap by half: a leg that
/// is dialled again at once is away for some packets only.
fn longest_gap(samples: &[i16], tone: f64) -> Duration {
    const WINDOW: usize = RATE as usize / 50;
    let mut longest = 0;
    let mut gap = 0;
    for begin in (0..samples.len().saturating_sub(WINDOW)).step_by(WINDOW / 2) {
        gap = if level_dbfs(&samples[begin..begin + WINDOW], tone) > HEARD_DBFS { 0 } else { gap + 1 };
        longest = longest.max(gap);
    }
    Duration::from_millis(longest * 10)
}

fn calls(stage: &Stage) -> Vec<serde_json::Value> {
    stage.kamari.get("/v1/calls").as_array().expect("a list of calls").clone()
}

/// The nodes that a tenant's calls are on.
fn nodes_of(stage: &Stage, tenant: &str) -> BTreeSet<String> {
    let own = calls(stage).into_iter().filter(|call| call["tenant"] == tenant);
    own.filter_map(|call| call["node"].as_str().map(str::to_owned)).collect()
}

/// The node that this phone's call is on.
fn node_of(stage: &Stage, number: u8) -> String {
    let caller = format!("phone{number}");
    let call = calls(stage).into_iter().find(|call| call["caller"] == caller.as_str()).expect("its call");
    call["node"].as_str().expect("a node").to_owned()
}

/// Which of three phones, numbered from `first` on, is on this node.
fn phone_on(stage: &Stage, node: &str, first: u8) -> usize {
    (0..3).find(|at| node_of(stage, first + at) == node).expect("a phone on every node").into()
}

/// The legs between nodes, by the ids of the ends that dialled, each with its node.
fn legs(stage: &Stage) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for node in &stage.nodes {
        let channels = node.ari("GET", "/channels").unwrap_or_default();
        let ids = channels.as_array().into_iter().flatten().filter_map(|channel| channel["id"].as_str());
        found.extend(ids.filter(|id| id.starts_with("kamari-leg-")).map(|id| (id.to_owned(), node.name())));
    }
    found
}

//! A room spans nodes: performance alone decides where each caller is, and they hear each other all the same.

use crate::lab::audio::level_dbfs;
use crate::lab::{Phone, wait_until};
use crate::stage::{SOON, Stage};
use std::collections::BTreeSet;
use std::time::Duration;

/// A tone of a phone arrives at -12 dBFS; one that is heard at all is far above this, silence and noise far below.
const HEARD_DBFS: f64 = -25.0;
const SILENT_DBFS: f64 = -50.0;
/// Long enough to measure a level, short enough to see soon that it has changed.
const A_MOMENT: Duration = Duration::from_millis(500);

#[test]
fn callers_on_three_nodes_hear_each_other() {
    let stage = Stage::of(3);
    let tones = [440_u32, 620, 880];
    let phones: Vec<Phone> = (1..)
        .zip(tones)
        .map(|(number, tone)| {
            let phone = stage.lab.phone(number).tone(tone.into()).call("200");
            wait_until("the caller to be in", SOON, || stage.calls() == usize::from(number));
            phone
        })
        .collect();
    let nodes: BTreeSet<_> = calls(&stage).iter().map(|call| call["node"].to_string()).collect();
    assert_eq!(nodes.len(), 3, "each is on a node of his own: {nodes:?}");

    for (phone, own) in phones.iter().zip(tones) {
        for other in tones.iter().filter(|other| **other != own) {
            wait_until("another's tone", SOON, || level_dbfs(&phone.listen(A_MOMENT), (*other).into()) > HEARD_DBFS);
        }
        let level = level_dbfs(&phone.listen(A_MOMENT), own.into());
        assert!(level < SILENT_DBFS, "nobody hears himself: {own} Hz at {level:.1} dBFS");
    }

    // The leg between two nodes is cut: it is dialled again, and the callers stay where they are.
    let leg = legs(&stage)[0].clone();
    let gone = leg.clone();
    stage.nodes.iter().find_map(|node| node.ari("DELETE", &format!("/channels/{leg}")).ok()).expect("the leg is there");
    wait_until("another leg", SOON, || legs(&stage).len() == 2 && !legs(&stage).contains(&gone));
    for (phone, own) in phones.iter().zip(tones) {
        for other in tones.iter().filter(|other| **other != own) {
            wait_until("another's tone again", SOON, || {
                level_dbfs(&phone.listen(A_MOMENT), (*other).into()) > HEARD_DBFS
            });
        }
    }
    assert_eq!(stage.calls(), 3);
    for phone in phones {
        phone.hang_up();
    }
    stage.assert_nothing_left();
}

#[test]
fn the_others_stay_together_when_the_home_node_dies() {
    let stage = Stage::of(3);
    let phones: Vec<Phone> = (1..)
        .zip([440.0, 620.0, 880.0])
        .map(|(number, tone)| {
            let phone = stage.lab.phone(number).tone(tone).call("200");
            wait_until("the caller to be in", SOON, || stage.calls() == usize::from(number));
            phone
        })
        .collect();
    wait_until("the room to be whole", SOON, || level_dbfs(&phones[1].listen(A_MOMENT), 880.0) > HEARD_DBFS);
    // The first caller's node is the room's home.
    let first = calls(&stage).into_iter().min_by_key(|call| call["started_ms"].as_u64()).expect("three calls");
    let home = stage.nodes.iter().find(|node| first["node"] == node.name().as_str()).expect("one of the nodes");
    home.kill9();
    wait_until("the second and the third alone", SOON, || stage.calls() == 2);
    wait_until("the second to hear the third", SOON, || level_dbfs(&phones[1].listen(A_MOMENT), 880.0) > HEARD_DBFS);
    wait_until("the third to hear the second", SOON, || level_dbfs(&phones[2].listen(A_MOMENT), 620.0) > HEARD_DBFS);
    for phone in phones {
        phone.hang_up();
    }
    stage.assert_nothing_left();
}

fn calls(stage: &Stage) -> Vec<serde_json::Value> {
    stage.kamari.get("/v1/calls").as_array().expect("a list of calls").clone()
}

/// The legs between nodes, by the ids of the ends that dialled.
fn legs(stage: &Stage) -> Vec<String> {
    let channels = stage.nodes.iter().filter_map(|node| node.ari("GET", "/channels").ok());
    let ids = channels.flat_map(|list| list.as_array().cloned().unwrap_or_default());
    ids.filter_map(|channel| channel["id"].as_str().filter(|id| id.starts_with("kamari-leg-")).map(str::to_owned))
        .collect()
}

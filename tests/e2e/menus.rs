//! A caller walks through menus by RFC 4733 digits: he cuts a prompt short, presses a wrong key, and waits too long.

use crate::lab::audio::{RATE, level_dbfs};
use crate::lab::wait_until;
use crate::stage::{SOON, Stage};

/// A prompt's tone arrives at about -12 dBFS; what is not played is far below this.
const HEARD_DBFS: f64 = -25.0;
/// The tones that tell the prompts apart.
const TONES: [(&str, f64); 3] = [("error", 300.0), ("hello", 1_046.5), ("join", 600.0)];
/// Length of the prompt `music` in milliseconds.
const MUSIC_MS: u64 = 12_800;

#[test]
fn a_caller_walks_through_menus() {
    let stage = Stage::of(1);
    let mut phone = stage.lab.phone(1).call("120");
    let wait_for = |what: &str, prompts: &[&str]| {
        wait_until(what, SOON, || played(&stage).iter().map(|(_, names)| names.as_str()).eq(prompts.iter().copied()));
    };
    wait_for("the first menu", &["music"]);
    phone.dtmf("9");
    wait_for("the wrong key to be told", &["music", "error music"]);
    phone.dtmf("1");
    wait_for("the second menu, and that he waits too long there", &["music", "error music", "hello", "join hello"]);
    phone.dtmf("5");
    wait_until("the number that he chose", SOON, || call(&stage)["app"] == "echo");

    let times: Vec<u64> = played(&stage).iter().map(|(at_ms, _)| *at_ms).collect();
    assert!(times[1] - times[0] < MUSIC_MS && times[2] - times[1] < MUSIC_MS, "keys cut the music short: {times:?}");
    let received = phone.hang_up().samples;
    let heard = tones(&received);
    assert!(heard.starts_with(&["error", "hello", "join"]), "what was heard: {heard:?}");
    stage.assert_nothing_left();

    // The shop is always closed: the call goes elsewhere.
    let phone = stage.lab.phone(1).call("121");
    assert_eq!(call(&stage)["app"], "music");
    phone.hang_up();
    stage.assert_nothing_left();
}

/// The one call.
fn call(stage: &Stage) -> serde_json::Value {
    let calls = stage.kamari.get("/v1/calls");
    stage.kamari.get(&format!("/v1/calls/{}", calls[0]["id"].as_str().expect("one call")))
}

/// When something was played to the one call, in milliseconds since it came, and which prompts.
fn played(stage: &Stage) -> Vec<(u64, String)> {
    let call = call(stage);
    let steps = call["steps"].as_array().cloned().unwrap_or_default();
    let playing = steps.iter().filter(|step| step["step"] == "playing").map(|step| {
        let media = step["media"].as_array().expect("a list of media").iter().filter_map(serde_json::Value::as_str);
        let names = media.map(|uri| uri.rsplit('/').next().unwrap_or_default().trim_end_matches(".wav"));
        (step["at_ms"].as_u64().expect("a time"), names.collect::<Vec<_>>().join(" "))
    });
    playing.collect()
}

/// The prompts that can be heard in the samples, in order, each once while it lasts.
fn tones(samples: &[i16]) -> Vec<&'static str> {
    let mut heard = Vec::new();
    for window in samples.chunks(RATE as usize / 20) {
        let loud = TONES.iter().find(|(_, hertz)| level_dbfs(window, *hertz) > HEARD_DBFS);
        if let Some((name, _)) = loud {
            heard.push(*name);
        }
    }
    heard.dedup();
    heard
}

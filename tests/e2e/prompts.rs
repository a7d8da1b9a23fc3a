//! One prompt's name, several files: each tenant hears his own, in the language of his number.

use crate::lab::audio::{mean_level_dbfs, tone, write_wav};
use crate::lab::{DOMAIN, KamailioVersion, Lab, OTHER_DOMAIN};
use crate::stage::{SOON, Stage};

/// What is heard at all is far above this, other tones far below.
const HEARD_DBFS: f64 = -25.0;
const SILENT_DBFS: f64 = -50.0;
/// Where a `welcome` lies, and its tone in Hz.
const FILES: [(&str, f64); 4] = [
    ("welcome.wav", 440.0),
    ("fr/welcome.wav", 620.0),
    ("tenants/Zimbelstern/welcome.wav", 880.0),
    ("tenants/Zimbelstern/de/welcome.wav", 1_100.0),
];

fn settings(lab: &Lab) -> String {
    let folder = lab.directory().join("prompts");
    for (place, hertz) in FILES {
        let file = folder.join(place);
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        write_wav(&file, &tone(hertz, -12.0, 2.0)).expect("written");
    }
    format!(
        r#"
[media]
prompts = "{}"

[[tenants]]
name = "Zimbelstern"
domains = ["{DOMAIN}"]
[tenants.extensions]
"100" = {{ app = "playback", prompts = "welcome" }}
"101" = {{ app = "playback", prompts = "welcome", language = "de_AT" }}

[[tenants]]
name = "other"
domains = ["{OTHER_DOMAIN}"]
language = "fr"
[tenants.extensions]
"100" = {{ app = "playback", prompts = "welcome" }}
"101" = {{ app = "playback", prompts = "welcome", language = "en" }}
"#,
        folder.display()
    )
}

#[test]
fn each_tenant_hears_his_own_prompt_in_his_language() {
    let stage = Stage::configured(1, KamailioVersion::V6_1, &[], settings);
    for (phone, (domain, number, heard_hertz)) in (1..).zip([
        (DOMAIN, "100", 880.0),
        (DOMAIN, "101", 1_100.0),
        (OTHER_DOMAIN, "100", 620.0),
        (OTHER_DOMAIN, "101", 440.0),
    ]) {
        let caller = stage.lab.phone(phone).user(&format!("phone{phone}"), domain, "").call(number);
        let heard = caller.wait_hung_up(SOON).samples;
        for (_, hertz) in FILES {
            let level = mean_level_dbfs(&heard, hertz);
            let is_his = (hertz - heard_hertz).abs() < 1.0;
            assert!(
                if is_his { level > HEARD_DBFS } else { level < SILENT_DBFS },
                "{number} at {domain}: {hertz} Hz at {level:.1} dBFS"
            );
        }
    }
    stage.assert_nothing_left();
}

//! `[[nodes]]`: the nodes that the file names.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, Serializer};

use crate::invalid::Invalid;
use crate::pool::{NodeSpec, RawNode};

/// The largest password file that is read, in bytes.
const PASSWORD_LIMIT: usize = 1024;

/// One node of the file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeEntry {
    /// The node's name in this pool: 1 to 63 letters, digits, `.`, `_` and `-`.
    pub name: String,
    /// Where its ARI is: an `http` or `https` URL, such as `http://192.0.2.11:8088`, without `/ari`.
    pub ari: String,
    /// Where Kamailio sends its calls: a SIP URI, such as `sip:192.0.2.11:5060`.
    pub sip: String,
    /// Calls it may carry at once, 1 to 100000. Unset: the pool's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity: Option<u32>,
    /// ARI user. Unset: the pool's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// ARI password. Better in a file of its own.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "redacted")]
    pub password: Option<SecretString>,
    /// A file with the ARI password in its first line; relative to the settings file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
}

impl NodeEntry {
    /// The entry as the pool takes it; a refusal names the field in full.
    pub(super) fn spec(&self, index: usize) -> Result<NodeSpec, Invalid> {
        let raw = RawNode {
            name: self.name.clone(),
            ari: self.ari.clone(),
            sip: self.sip.clone(),
            capacity: self.capacity,
            username: self.username.clone(),
            password: self.password.clone(),
        };
        raw.validate().map_err(|refusal| refusal.within(&format!("nodes[{index}]")))
    }
}

#[expect(clippy::ref_option, reason = "serde hands the field over as it is")]
fn redacted<S: Serializer>(_: &Option<SecretString>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str("[redacted]")
}

/// What the entries get wrong, each by the pool's own rules and among themselves.
pub(super) fn problems(entries: &[NodeEntry]) -> Vec<Invalid> {
    let mut names = BTreeSet::new();
    let mut found = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        found.extend(entry.spec(index).err());
        if !names.insert(&entry.name) {
            found.push(Invalid::new(format!("nodes[{index}].name"), "a name no other node has", &entry.name));
        }
        if entry.password.is_some() && entry.password_file.is_some() {
            let field = format!("nodes[{index}].password_file");
            found.push(Invalid::new(field, "either password or password_file", "both"));
        }
    }
    found
}

/// Puts the passwords in place that stand in files; says which files could not be read.
pub(super) fn read_password_files(entries: &mut [NodeEntry], base: &Path) -> Vec<Invalid> {
    let mut found = Vec::new();
    for (index, entry) in entries.iter_mut().enumerate() {
        let Some(file) = entry.password_file.as_ref().filter(|_| entry.password.is_none()) else { continue };
        match password_of(&base.join(file)) {
            Ok(password) => entry.password = Some(password),
            Err(reason) => {
                let expected = format!("a readable file with a password of at most {PASSWORD_LIMIT} bytes ({reason})");
                found.push(Invalid::new(format!("nodes[{index}].password_file"), expected, file.display()));
            }
        }
    }
    found
}

fn password_of(file: &Path) -> Result<SecretString, String> {
    let text = SecretString::from(std::fs::read_to_string(file).map_err(|error| error.to_string())?);
    let line = text.expose_secret().lines().next().unwrap_or_default();
    match line.len() {
        0 => Err("its first line is empty".to_owned()),
        length if length > PASSWORD_LIMIT => Err("its first line is too long".to_owned()),
        _ => Ok(SecretString::from(line.to_owned())),
    }
}

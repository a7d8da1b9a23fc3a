//! One JSON document that survives the process: whole at every instant, and never guessed at.
//!
//! Why it exists: what operators say at run time (nodes, tenants) is remembered, by the same rules for all of it.
//!
//! Invariants:
//! - the file is whole at every instant: written beside, synced, renamed over, the folder synced;
//! - only its owner may read it;
//! - a file that cannot be read, or comes from a newer kamari, is refused and stays as it was.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Why a state file could not be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It exists and cannot be opened or read.
    #[error("the state file {path} cannot be read: {cause}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        cause: io::Error,
    },
    /// Its content is not what this kamari writes: torn, or edited wrongly.
    #[error(
        "the state file {path} is damaged ({cause}); it was left as it is: mend it, or move it away to start without it"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where and why, with line and column.
        cause: serde_json::Error,
    },
    /// A later kamari wrote it.
    #[error(
        "the state file {path} has version {found}, and this kamari knows versions up to {known}; it was left as it is: \
         run the newer kamari, or move the file away to start without it"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The latest version that this kamari reads.
        known: u32,
    },
    /// It could not be written; the file from before is still whole.
    #[error("the state file {path} cannot be written: {cause}")]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        cause: io::Error,
    },
}

/// Only the version, whatever else is there: read first, so that a newer file is called newer and not damaged.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

/// The place of a document; without a path, what is said at run time ends with the process.
#[derive(Debug, Clone)]
pub struct StateFile {
    path: Option<PathBuf>,
    version: u32,
}

impl StateFile {
    /// A file at `path` whose documents have a field `version` of at most this.
    pub fn new(path: Option<PathBuf>, version: u32) -> Self {
        Self { path, version }
    }

    /// What was remembered; nothing when there is no file (yet). Makes the file's folder. A place that cannot be written is
    /// refused here, at the start, and not when an operator has said something that is lost there.
    pub fn load<T: DeserializeOwned>(&self) -> Result<Option<T>, StoreError> {
        let Some(path) = &self.path else { return Ok(None) };
        try_to_write(path).map_err(|cause| StoreError::Unwritable { path: path.clone(), cause })?;
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(cause) => return Err(StoreError::Unreadable { path: path.clone(), cause }),
        };
        let damaged = |cause| StoreError::Damaged { path: path.clone(), cause };
        let version = serde_json::from_slice::<Versioned>(&text).map_err(damaged)?.version;
        if version > self.version {
            return Err(StoreError::Newer { path: path.clone(), found: version, known: self.version });
        }
        serde_json::from_slice(&text).map(Some).map_err(damaged)
    }

    /// Remembers `document` in place of what was. Blocks on the disk: call it where blocking is allowed.
    pub fn save(&self, document: &impl Serialize) -> Result<(), StoreError> {
        let Some(path) = &self.path else { return Ok(()) };
        write_whole(path, document).map_err(|cause| StoreError::Unwritable { path: path.clone(), cause })
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// `path` with something after its name.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Makes a file of this process's own beside `path` and removes it: whatever another kamari writes there is not touched.
fn try_to_write(path: &Path) -> io::Result<()> {
    fs::create_dir_all(folder_of(path))?;
    let trial = beside(path, &format!(".trial-{}", std::process::id()));
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&trial)?;
    fs::remove_file(&trial)
}

fn write_whole(path: &Path, document: &impl Serialize) -> io::Result<()> {
    fs::create_dir_all(folder_of(path))?;
    let beside = beside(path, ".new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    serde_json::to_writer_pretty(&mut file, document)?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    File::open(folder_of(path))?.sync_all()
}

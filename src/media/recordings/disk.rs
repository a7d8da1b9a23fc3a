//! Files that are whole at every instant: written beside, synced, renamed over, the folder synced. Only their owner may
//! read them. All of it blocks on the disk.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::StoreError;

/// The ending of a file that is being written.
const BESIDE: &str = "new";
/// Longest JSON file that is read, in bytes: ours are far below.
const JSON_LIMIT: u64 = 1 << 20;

/// Makes a folder, with those above it, unless it is there.
pub(super) fn make_folder(folder: &Path) -> Result<(), StoreError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|cause| StoreError::unwritable(folder, cause))
}

/// Puts a file into its place as a whole.
pub(super) fn put(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> Result<(), StoreError> {
    let put = || {
        let mut beside = path.as_os_str().to_owned();
        beside.push(".");
        beside.push(BESIDE);
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        write(&mut file)?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        sync_folder(path)
    };
    put().map_err(|cause| StoreError::unwritable(path, cause))
}

/// Puts a value into its place as JSON.
pub(super) fn put_json(path: &Path, value: &impl Serialize) -> Result<(), StoreError> {
    put(path, |file| {
        let mut text = serde_json::to_vec_pretty(value)?;
        text.push(b'\n');
        file.write_all(&text)
    })
}

/// Removes a file; says whether it was there.
pub(super) fn remove(path: &Path) -> Result<bool, StoreError> {
    match fs::remove_file(path).and_then(|()| sync_folder(path)) {
        Ok(()) => Ok(true),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(cause) => Err(StoreError::unwritable(path, cause)),
    }
}

/// Removes the files of a folder that were never finished. Only before anything is written to it: what somebody writes
/// just now looks the same.
pub(super) fn sweep(folder: &Path) -> Result<(), StoreError> {
    for name in entries(folder)?.iter().filter(|name| is_unfinished(name)) {
        remove(&folder.join(name))?;
    }
    Ok(())
}

/// Every finished file of a folder by its name.
pub(super) fn names(folder: &Path) -> Result<Vec<String>, StoreError> {
    let mut names = entries(folder)?;
    names.retain(|name| !is_unfinished(name));
    Ok(names)
}

fn is_unfinished(name: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(_, ending)| ending == BESIDE)
}

fn entries(folder: &Path) -> Result<Vec<String>, StoreError> {
    let unreadable = |cause| StoreError::Unreadable { path: folder.to_owned(), cause };
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let is_file = match entry.file_type() {
            Ok(kind) => kind.is_file(),
            // It went since the folder was read.
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => false,
            Err(cause) => return Err(unreadable(cause)),
        };
        // Names that are no text are not ours.
        if is_file && let Ok(name) = entry.file_name().into_string() {
            names.push(name);
        }
    }
    Ok(names)
}

/// Reads a JSON file of ours.
pub(super) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, StoreError> {
    let unreadable = |cause| StoreError::Unreadable { path: path.to_owned(), cause };
    if fs::metadata(path).map_err(unreadable)?.len() > JSON_LIMIT {
        return Err(unreadable(io::ErrorKind::FileTooLarge.into()));
    }
    let text = fs::read(path).map_err(unreadable)?;
    serde_json::from_slice(&text).map_err(|cause| StoreError::Damaged { path: path.to_owned(), cause })
}

/// The same file with another ending.
pub(super) fn with_ending(folder: &Path, stem: &str, ending: &str) -> PathBuf {
    folder.join(format!("{stem}.{ending}"))
}

fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

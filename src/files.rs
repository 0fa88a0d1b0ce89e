//! Atomic writing of files, file stamps, hashes, and the user's folders.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Writes `bytes` to `path` so that a reader sees either the old file or the whole new one.
///
/// The data goes to a temporary file in the same folder, which is then renamed to `path`. A missing folder is
/// created. A device or pipe, such as `/dev/stdout`, is written to and stays what it is.
///
/// # Errors
/// Any error of the file system.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if std::fs::metadata(path).is_ok_and(|about| !about.is_file() && !about.is_dir()) {
        return std::fs::write(path, bytes);
    }
    let folder = folder_of(path);
    std::fs::create_dir_all(folder)?;
    let mut file = temporary_beside(folder)?;
    file.write_all(bytes)?;
    file.persist(path).map_err(|e| e.error)?;
    Ok(())
}

/// The folder of a file: `.` if the path is a name alone.
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes sure that files can be written to a folder, which is created if it does not exist.
///
/// # Errors
/// Any error of the file system.
pub fn try_folder(folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    temporary_beside(folder).map(drop)
}

/// A temporary file in `folder`, deleted on drop unless it is persisted.
///
/// # Errors
/// Any error of the file system.
pub fn temporary_beside(folder: &Path) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".aaclip-");
    // Temporary files are private; results get the mode of a plain `open`: the system takes the umask off. No mode is
    // set afterwards, because some file systems refuse that.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}

/// As [`write_atomic`], with what `write` writes, for a file with only one writing process at a time. The temporary
/// file has a fixed name derived from `path`, so the next write replaces the leftover of a killed process.
///
/// # Errors
/// Any error of the file system or of `write`.
pub fn write_atomic_again(
    path: &Path,
    write: impl FnOnce(&mut std::fs::File) -> io::Result<()>,
) -> io::Result<()> {
    let folder = folder_of(path);
    std::fs::create_dir_all(folder)?;
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    let part = folder.join(format!(".aaclip-{}.part", &sha256(name)[..16]));
    let filled = std::fs::File::create(&part).and_then(|mut file| write(&mut file));
    let written = filled.and_then(|()| std::fs::rename(&part, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&part);
    }
    written
}

/// Writes a file's content to the disk, where the file system can promise that: some (network shares, FUSE) refuse.
///
/// # Errors
/// Any other error of the file system.
pub fn sync(file: &std::fs::File) -> io::Result<()> {
    match file.sync_all() {
        Err(e) if matches!(e.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
        done => done,
    }
}

/// Most bytes of a file's name: the limit of nearly every file system.
const LONGEST_NAME: usize = 255;

/// A file name to which `more` bytes can be added: `name` itself, or its beginning, a hash of the whole name and its
/// ending, `BEGINNING~0123456789abcdef.png`. Different names stay different.
pub fn short_name(name: &std::ffi::OsStr, more: usize) -> std::ffi::OsString {
    let most = LONGEST_NAME.saturating_sub(more);
    let bytes = name.as_encoded_bytes();
    if bytes.len() <= most {
        return name.to_owned();
    }
    let text = String::from_utf8_lossy(bytes);
    let ending = text.rfind('.').map_or("", |dot| text.get(dot..).unwrap_or_default());
    let end = format!("~{}{}", &sha256(bytes)[..16], if ending.len() <= 8 { ending } else { "" });
    let room = most.saturating_sub(end.len());
    let kept = (0..=room).rev().find_map(|length| text.get(..length)).unwrap_or_default();
    format!("{kept}{end}").into()
}

/// Reads a file of at most `limit` bytes.
///
/// # Errors
/// Any error of the file system, or the file is longer.
pub fn read_limited(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("larger than {} kB", limit / 1000)));
    }
    Ok(bytes)
}

/// Whether an error of writing one file will also occur for every other file.
pub fn is_hopeless(error: &io::Error) -> bool {
    use io::ErrorKind::{QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    matches!(error.kind(), QuotaExceeded | ReadOnlyFilesystem | StorageFull)
}

/// Identifies one state of a file without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Stamp {
    /// Its length.
    pub bytes: u64,
    /// Time of the last write, in microseconds since 1970; `None` if the system does not report it.
    pub modified: Option<i64>,
}

impl Stamp {
    /// The stamp of a file; `None` if its metadata cannot be read.
    pub fn read(path: &Path) -> Option<Self> {
        std::fs::metadata(path).ok().map(|about| Self::of(&about))
    }

    /// The stamp from a file's metadata.
    pub fn of(metadata: &std::fs::Metadata) -> Self {
        let micros = |d: std::time::Duration| i64::try_from(d.as_micros()).ok();
        let modified =
            metadata.modified().ok().and_then(|time| match time.duration_since(std::time::UNIX_EPOCH) {
                Ok(since) => micros(since),
                Err(before) => micros(before.duration()).map(|m| -m),
            });
        Self { bytes: metadata.len(), modified }
    }
}

/// A path as the system names it: on Unix any bytes, elsewhere with bytes that are not UTF-8 replaced.
pub fn path_of_bytes(bytes: &[u8]) -> PathBuf {
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        PathBuf::from(std::ffi::OsStr::from_bytes(bytes))
    }
    #[cfg(not(unix))]
    PathBuf::from(String::from_utf8_lossy(bytes).into_owned())
}

/// Bytes in hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// SHA-256 in hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// The program's cache folder: `AACLIP_CACHE` if set, else `aaclip` in the user's cache folder.
///
/// `None` if the system has no such folder.
pub fn cache_dir() -> Option<PathBuf> {
    match std::env::var_os("AACLIP_CACHE") {
        Some(dir) if !dir.is_empty() => Some(PathBuf::from(dir)),
        _ => user_dir(CACHES).map(|d| d.join("aaclip")),
    }
}

/// The user's folder for settings of all programs; `None` if the system has no such folder.
pub fn config_dir() -> Option<PathBuf> {
    user_dir(SETTINGS)
}

/// The user's home folder; `None` if the system has no such folder.
pub fn home_dir() -> Option<PathBuf> {
    std::env::home_dir().filter(|home| !home.as_os_str().is_empty())
}

/// A folder of the user: the environment variable with its path, and its default path below the home folder.
type UserDir = (Option<&'static str>, &'static str);

#[cfg(windows)]
const CACHES: UserDir = (Some("LOCALAPPDATA"), "AppData/Local");
#[cfg(windows)]
const SETTINGS: UserDir = (Some("APPDATA"), "AppData/Roaming");

#[cfg(target_vendor = "apple")]
const CACHES: UserDir = (None, "Library/Caches");
#[cfg(target_vendor = "apple")]
const SETTINGS: UserDir = (None, "Library/Application Support");

#[cfg(not(any(windows, target_vendor = "apple")))]
const CACHES: UserDir = (Some("XDG_CACHE_HOME"), ".cache");
#[cfg(not(any(windows, target_vendor = "apple")))]
const SETTINGS: UserDir = (Some("XDG_CONFIG_HOME"), ".config");

fn user_dir((variable, below_home): UserDir) -> Option<PathBuf> {
    let moved = variable.and_then(std::env::var_os).map(PathBuf::from).filter(|dir| dir.is_absolute());
    moved.or_else(|| Some(home_dir()?.join(below_home)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn what_cannot_be_synced_is_no_error() {
        // Linux refuses it for a pipe, as some file systems do for files.
        let (_reader, writer) = io::pipe().unwrap();
        let file = std::fs::File::from(std::os::fd::OwnedFd::from(writer));
        assert!(file.sync_all().is_err());
        sync(&file).unwrap();
    }

    #[test]
    fn long_names_become_short_and_stay_different() {
        let of = |name: &str| short_name(name.as_ref(), 12).into_string().unwrap();
        assert_eq!(of("a.png"), "a.png");
        assert_eq!(of(&"a".repeat(243)).len(), 243);
        let [one, two] = ["1", "2"].map(|last| of(&format!("{}{last}.png", "é".repeat(125))));
        assert!(one != two && one.len() <= 243 && one.starts_with("éé") && one.ends_with(".png"), "{one}");
    }

    #[test]
    fn replaces_a_file_and_leaves_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/er/out.txt");
        write_atomic(&path, b"one").unwrap();
        write_atomic(&path, b"two").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    /// A device would be lost: `--out /dev/null` as root.
    #[cfg(unix)]
    #[test]
    fn a_pipe_stays_a_pipe() {
        use std::os::unix::fs::FileTypeExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let reader = std::thread::spawn({
            let path = path.clone();
            move || std::fs::read(path).unwrap()
        });
        write_atomic(&path, b"text").unwrap();
        assert!(std::fs::metadata(&path).unwrap().file_type().is_fifo());
        assert_eq!(reader.join().unwrap(), b"text");
    }
}

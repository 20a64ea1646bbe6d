//! Credentials in mounted files, read again when they change, without a restart.
//!
//! Flow: the client asks before every request; the files are looked at once a second. Kubernetes swaps a
//! folder behind the symbolic link `..data`, so all files of one reading are taken from the folder that the
//! link named at its beginning. A file that doesn't parse (a torn, empty or missing file) changes nothing: the last
//! good value stays in use, and the log says so once.

use super::super::StoreError;
use async_trait::async_trait;
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;
use object_store::azure::{AzureAccessKey, AzureCredential, split_sas};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use voicemail_model::clock::World;

/// How long a reading is used before the files are looked at again.
const FRESH: Duration = Duration::from_secs(1);

/// Makes a credential of the files in a folder; the error names a file, never its content.
type Parse<T> = fn(&Path) -> Result<T, String>;

/// Credentials from files.
pub(super) struct FileCredentials<T> {
    folder: PathBuf,
    parse: Parse<T>,
    world: World,
    state: Mutex<State<T>>,
}

struct State<T> {
    current: Arc<T>,
    read_at: Duration,
    complained: bool,
}

impl<T: PartialEq> FileCredentials<T> {
    /// Reads the files for the first time.
    pub(super) fn open(folder: &Path, parse: Parse<T>, world: &World) -> Result<Arc<Self>, StoreError> {
        let unreadable = |error| StoreError::Credentials(format!("{}: {error}", folder.display()));
        let current = Arc::new(parse(&settle_folder(folder)).map_err(unreadable)?);
        let state = State { current, read_at: world.monotonic(), complained: false };
        let (folder, world) = (folder.to_owned(), world.clone());
        Ok(Arc::new(Self { folder, parse, world, state: Mutex::new(state) }))
    }

    fn current(&self) -> Arc<T> {
        let now = self.world.monotonic();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_sub(state.read_at) < FRESH {
            return Arc::clone(&state.current);
        }
        state.read_at = now;
        match (self.parse)(&settle_folder(&self.folder)) {
            Ok(found) => {
                if found != *state.current {
                    tracing::info!(folder = %self.folder.display(), "the storage credentials have changed");
                    state.current = Arc::new(found);
                }
                state.complained = false;
            }
            Err(error) if !state.complained => {
                let folder = self.folder.display();
                tracing::warn!(%folder, %error, "the storage credentials can't be read: the last good ones stay");
                state.complained = true;
            }
            Err(_) => {}
        }
        Arc::clone(&state.current)
    }
}

/// Without the values.
impl<T> fmt::Debug for FileCredentials<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileCredentials").field("folder", &self.folder).finish_non_exhaustive()
    }
}

#[async_trait]
impl<T: PartialEq + Send + Sync + 'static> CredentialProvider for FileCredentials<T> {
    type Credential = T;

    async fn get_credential(&self) -> object_store::Result<Arc<T>> {
        Ok(self.current())
    }
}

/// The folder that `..data` names now, so that no reading mixes two generations of a mounted Secret.
fn settle_folder(folder: &Path) -> PathBuf {
    std::fs::canonicalize(folder.join("..data")).unwrap_or_else(|_| folder.to_owned())
}

/// A file's text without surrounding white space; `None` if there is no such file.
pub(super) fn read_entry(folder: &Path, name: &str) -> Result<Option<String>, String> {
    match std::fs::read_to_string(folder.join(name)) {
        Ok(text) if text.trim().is_empty() => Err(format!("{name} is empty")),
        Ok(text) => Ok(Some(text.trim().to_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{name} can't be read: {error}")),
    }
}

fn require(folder: &Path, name: &str) -> Result<String, String> {
    read_entry(folder, name)?.ok_or_else(|| format!("there is no file {name}"))
}

/// `accessKeyId`, `secretAccessKey` and perhaps `sessionToken`.
pub(super) fn read_aws(folder: &Path) -> Result<AwsCredential, String> {
    let (key_id, secret_key) = (require(folder, "accessKeyId")?, require(folder, "secretAccessKey")?);
    let token = read_entry(folder, "sessionToken")?;
    if [&key_id, &secret_key].iter().any(|text| !text.bytes().all(|b| b.is_ascii_graphic())) {
        return Err("accessKeyId and secretAccessKey must be plain characters on one line".into());
    }
    Ok(AwsCredential { key_id, secret_key, token })
}

/// `accountKey`, or else `sasToken`.
pub(super) fn read_azure(folder: &Path) -> Result<AzureCredential, String> {
    if let Some(key) = read_entry(folder, "accountKey")? {
        let key = AzureAccessKey::try_new(&key).map_err(|_| "accountKey isn't base64".to_owned())?;
        return Ok(AzureCredential::AccessKey(key));
    }
    let sas = read_entry(folder, "sasToken")?.ok_or("there is neither a file accountKey nor sasToken")?;
    let pairs = split_sas(&sas).map_err(|_| "sasToken isn't a query string".to_owned())?;
    if !pairs.iter().any(|(name, value)| name == "sig" && !value.is_empty()) {
        return Err("sasToken has no signature (sig=…)".into());
    }
    Ok(AzureCredential::SASToken(pairs))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn write(folder: &Path, id: &str, secret: &str) {
        std::fs::create_dir_all(folder).unwrap();
        std::fs::write(folder.join("accessKeyId"), id).unwrap();
        std::fs::write(folder.join("secretAccessKey"), secret).unwrap();
    }

    fn swap(mount: &Path, generation: &str) {
        symlink(generation, mount.join("..new")).unwrap();
        std::fs::rename(mount.join("..new"), mount.join("..data")).unwrap();
    }

    async fn id(credentials: &FileCredentials<AwsCredential>) -> String {
        credentials.get_credential().await.unwrap().key_id.clone()
    }

    fn later(credentials: &FileCredentials<AwsCredential>) {
        credentials.state.lock().unwrap().read_at = Duration::ZERO;
    }

    fn old_world() -> World {
        // A world whose monotonic clock is past the reading's freshness at once.
        struct Old;
        impl voicemail_model::clock::Surroundings for Old {
            fn now(&self) -> voicemail_model::Time {
                voicemail_model::Time(0)
            }
            fn monotonic(&self) -> Duration {
                Duration::from_secs(60)
            }
            fn sleep(&self, _: Duration) -> futures::future::BoxFuture<'static, ()> {
                Box::pin(async {})
            }
            fn fill_random(&self, _: &mut [u8]) {}
        }
        World::new(Old)
    }

    #[tokio::test]
    async fn a_swapped_mount_is_noticed_and_a_torn_one_is_not_taken() {
        let mount = tempfile::tempdir().unwrap();
        let mount = mount.path();
        write(&mount.join("one"), "first", "secret");
        swap(mount, "one");
        let credentials = FileCredentials::open(mount, read_aws, &old_world()).unwrap();
        assert_eq!(id(&credentials).await, "first");
        write(&mount.join("two"), "second", "secret");
        swap(mount, "two");
        later(&credentials);
        assert_eq!(id(&credentials).await, "second");
        for torn in [("", "secret"), ("third", ""), ("third", "two\nlines")] {
            write(&mount.join("torn"), torn.0, torn.1);
            swap(mount, "torn");
            later(&credentials);
            assert_eq!(id(&credentials).await, "second", "{torn:?}");
        }
        write(&mount.join("four"), "fourth", "secret");
        swap(mount, "four");
        later(&credentials);
        assert_eq!(id(&credentials).await, "fourth");
    }

    #[test]
    fn what_is_missing_is_named_and_no_value_is_shown() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("accessKeyId"), "AKIASECRET").unwrap();
        let error = FileCredentials::open(folder.path(), read_aws, &old_world()).unwrap_err();
        assert!(error.to_string().contains("secretAccessKey"), "{error}");
        assert!(!error.to_string().contains("AKIASECRET"), "{error}");
    }

    #[test]
    fn azure_takes_a_key_or_a_token_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        assert!(read_azure(folder.path()).unwrap_err().contains("sasToken"));
        write("sasToken", "sv=1&se=2");
        assert!(read_azure(folder.path()).unwrap_err().contains("signature"));
        write("sasToken", "?sv=1&sig=abc%3D\n");
        assert!(matches!(read_azure(folder.path()), Ok(AzureCredential::SASToken(_))));
        write("accountKey", "not base64!");
        assert!(read_azure(folder.path()).unwrap_err().contains("base64"));
        write("accountKey", "a2V5\n");
        assert!(matches!(read_azure(folder.path()), Ok(AzureCredential::AccessKey(_))));
    }
}

//! The store calls that the program's operations are made of, in the same order and as many at a time, without any of its rules.

use anyhow::{Context as _, Result};
use bytes::Bytes;
use futures::future::try_join_all;
use futures::{StreamExt, TryStreamExt, stream};
use voicemail_store::{Key, Store, StoreError};

/// An entry in an index, an envelope.
const ENTRY: usize = 560;
/// Half of `storeCalls`.
const AT_A_TIME: usize = 32;
/// Reads of audio under way at a time.
const READS: usize = 16;

pub(crate) fn key(text: &str) -> Result<Key> {
    Key::listed(text).with_context(|| format!("{text} is no key"))
}

/// Makes the documents of a mailbox.
pub(crate) async fn open_mailbox(store: &dyn Store, name: &str) -> Result<()> {
    store.replace(&key(&format!("mb/bare/{name}/index"))?, None, filled(1)).await?;
    store.replace(&key(&format!("mb/bare/{name}/settings"))?, None, filled(1)).await?;
    Ok(())
}

fn filled(entries: usize) -> Bytes {
    Bytes::from(vec![b'i'; ENTRY * entries.max(1)])
}

/// Index and settings; audio; envelope beside a look at the mark; the index replaced; another look at the mark.
pub(crate) async fn deposit(store: &dyn Store, mailbox: &str, number: usize, audio: &Bytes) -> Result<()> {
    let (index, settings) =
        (key(&format!("mb/bare/{mailbox}/index"))?, key(&format!("mb/bare/{mailbox}/settings"))?);
    let (envelope, mark) = (key(&format!("ca/bare/{mailbox}/{number}"))?, key("mark/ba/re")?);
    let body = audio.clone();
    let (known, _) = tokio::try_join!(store.load(&index), store.load(&settings))?;
    store
        .put(&key(&format!("au/bare/{mailbox}/{number}"))?, stream::once(async move { Ok(body) }).boxed())
        .await?;
    tokio::try_join!(store.create(&envelope, filled(1)), store.load(&mark))?;
    store.replace(&index, known.as_ref().map(|known| &known.revision), filled(number + 1)).await?;
    store.load(&mark).await?;
    Ok(())
}

/// Index, settings and greetings.
pub(crate) async fn receive(store: &dyn Store, mailbox: &str) -> Result<()> {
    let keys =
        [format!("mb/bare/{mailbox}/index"), format!("mb/bare/{mailbox}/settings"), "greetings".into()];
    load_all(store, &keys).await
}

/// A user, then index and settings of each mailbox.
pub(crate) async fn count(store: &dyn Store, mailboxes: &[String]) -> Result<()> {
    store.load(&key("user/bare")?).await?;
    let both = |name: &String| [format!("mb/bare/{name}/index"), format!("mb/bare/{name}/settings")];
    let keys: Vec<String> = mailboxes.iter().flat_map(both).collect();
    load_all(store, &keys).await
}

async fn load_all(store: &dyn Store, keys: &[String]) -> Result<()> {
    try_join_all(keys.iter().map(async |text| store.load(&key(text)?).await.map_err(anyhow::Error::from)))
        .await?;
    Ok(())
}

/// User and index, then the audio's first bytes beside the record of it.
pub(crate) async fn play(store: &dyn Store, mailbox: &str, number: usize) -> Result<()> {
    load_all(store, &["user/bare".into(), format!("mb/bare/{mailbox}/index")]).await?;
    let (audio, act) = (key(&format!("au/bare/{mailbox}/{number}"))?, uuid::Uuid::new_v4());
    let act = key(&format!("audit/bare/{act}"))?;
    let (body, ()) = tokio::try_join!(store.read(&audio, None), store.create(&act, filled(1)))?;
    let mut bytes = body.context("no audio")?.bytes;
    bytes.next().await.context("an empty object")??;
    Ok(())
}

/// Envelopes and audio of so many messages, in turn in these mailboxes.
pub(crate) async fn leave(
    store: &dyn Store,
    name: &str,
    (messages, mailboxes): (usize, usize),
    audio: &Bytes,
) -> Result<()> {
    for mailbox in 0..mailboxes {
        open_mailbox(store, &format!("{name}{mailbox}")).await?;
    }
    let put = async |number: usize| {
        let body = audio.clone();
        store.create(&key(&format!("ca/bare/{name}/{number}"))?, filled(1)).await?;
        let audio = key(&format!("au/bare/{name}/{number}"))?;
        store.put(&audio, stream::once(async move { Ok(body) }).boxed()).await?;
        anyhow::Ok(())
    };
    stream::iter(0..messages).map(put).buffer_unordered(AT_A_TIME).try_collect().await
}

/// A list, all envelopes, and each mailbox's index read and replaced.
pub(crate) async fn find(store: &dyn Store, name: &str, (messages, mailboxes): (usize, usize)) -> Result<()> {
    store.list(&format!("ca/bare/{name}/")).try_collect::<Vec<String>>().await?;
    let read = async |number: usize| {
        store.get(&key(&format!("ca/bare/{name}/{number}"))?).await?;
        anyhow::Ok(())
    };
    stream::iter(0..messages).map(read).buffer_unordered(AT_A_TIME).try_collect::<()>().await?;
    flag(store, name, (messages, mailboxes)).await
}

async fn flag(store: &dyn Store, name: &str, (messages, mailboxes): (usize, usize)) -> Result<()> {
    let flag = async |number: usize| {
        let index = key(&format!("mb/bare/{name}{number}/index"))?;
        let known = store.load(&index).await?;
        store
            .replace(&index, known.as_ref().map(|known| &known.revision), filled(messages / mailboxes))
            .await?;
        anyhow::Ok(())
    };
    stream::iter(0..mailboxes).map(flag).buffer_unordered(AT_A_TIME).try_collect().await
}

/// All that [`find`] does; then each message's audio and envelope, and each mailbox's index again.
pub(crate) async fn erase(store: &dyn Store, name: &str, size: (usize, usize)) -> Result<()> {
    find(store, name, size).await?;
    let erase = async |number: usize| {
        store.delete(&key(&format!("au/bare/{name}/{number}"))?).await?;
        store.delete(&key(&format!("ca/bare/{name}/{number}"))?).await?;
        anyhow::Ok(())
    };
    stream::iter(0..size.0).map(erase).buffer_unordered(AT_A_TIME).try_collect::<()>().await?;
    flag(store, name, size).await
}

/// Reads all audio to its end, sixteen at a time; how many bytes that were.
pub(crate) async fn fetch(store: &dyn Store, name: &str, messages: usize) -> Result<usize> {
    let read = async |number: usize| {
        let body = store.read(&key(&format!("au/bare/{name}/{number}"))?, None).await?.context("no audio")?;
        let sum = |sum, piece: Bytes| async move { Ok::<_, StoreError>(sum + piece.len()) };
        anyhow::Ok(body.bytes.try_fold(0, sum).await?)
    };
    let sizes: Vec<usize> = stream::iter(0..messages).map(read).buffered(READS).try_collect().await?;
    Ok(sizes.into_iter().sum())
}

//! Reads what tenants' cores answer, and no more of it than an answer of theirs is long.
//!
//! A core is its tenant's: one that answers without an end must cost the operator, and so all other tenants, nothing. What
//! is longer than the limit is left, and its connection closed.

use reqwest::Response;

/// Longest answer of a core, but for its ledger. In bytes.
pub const LONGEST: usize = 1 << 20;
/// Longest ledger: some forty thousand erasures and promises. In bytes.
pub const LONGEST_LEDGER: usize = 16 << 20;

/// Why an answer can't be had.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// It has no end in sight.
    #[error("it is longer than {0} bytes")]
    TooLong(usize),
    /// It broke off.
    #[error(transparent)]
    Lost(#[from] reqwest::Error),
}

/// The whole body, if it isn't longer than that many bytes.
///
/// # Errors
/// [`AnswerError`].
pub async fn read_at_most(mut answer: Response, most: usize) -> Result<Vec<u8>, AnswerError> {
    let declared = answer.content_length().and_then(|length| usize::try_from(length).ok());
    if declared.is_some_and(|length| length > most) {
        return Err(AnswerError::TooLong(most));
    }
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        if body.len() + chunk.len() > most {
            return Err(AnswerError::TooLong(most));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use futures::StreamExt;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    const CHUNK: usize = 64 << 10;

    /// The address of a server whose answer has that many chunks, and how many of them it was asked for.
    async fn serve(chunks: usize) -> (String, Arc<AtomicUsize>) {
        let taken = Arc::new(AtomicUsize::new(0));
        let counted = taken.clone();
        let answer = move || {
            let counted = counted.clone();
            let chunk = move |_| {
                counted.fetch_add(1, Ordering::Relaxed);
                Ok::<_, std::io::Error>(vec![b' '; CHUNK])
            };
            async move { Body::from_stream(futures::stream::iter(0..chunks).map(chunk)) }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes = axum::Router::new().fallback(answer);
        tokio::spawn(async move { axum::serve(listener, routes).await });
        (format!("http://{address}/"), taken)
    }

    async fn read(url: &str) -> Result<Vec<u8>, AnswerError> {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
        read_at_most(http.get(url).send().await.unwrap(), LONGEST).await
    }

    #[tokio::test]
    async fn an_answer_without_an_end_costs_no_more_than_the_longest_one() {
        let (url, taken) = serve(usize::MAX).await;
        assert!(matches!(read(&url).await, Err(AnswerError::TooLong(LONGEST))));
        // Bytes under way in sockets' buffers are a few MiB at most.
        assert!(taken.load(Ordering::Relaxed) < 256, "{taken:?} chunks were taken");
    }

    #[tokio::test]
    async fn the_longest_answer_is_read_whole() {
        let (url, _) = serve(LONGEST / CHUNK).await;
        assert_eq!(read(&url).await.unwrap().len(), LONGEST);
        let (url, _) = serve(LONGEST / CHUNK + 1).await;
        assert!(read(&url).await.is_err());
    }
}

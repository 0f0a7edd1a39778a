//! What a handler left unread of a request's body.
//!
//! A connection can take the next request only behind the body of the one before. An answer that
//! needs no body (no such path, no access) may be ready before the body has arrived; the
//! connection would be closed behind it, under a client that keeps it for its next request. So
//! the rest is read first, within bounds.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody, to_bytes};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use hyper::body::{Frame, SizeHint};
use tokio::sync::oneshot;

/// 64 KiB, several times what a request of the API needs. Behind a longer rest the connection
/// closes.
const LENGTH_MAX: usize = 64 * 1024;

/// 1 s: a client that sends has sent by then; one that does not gets its answer no later.
const WAIT_MAX: Duration = Duration::from_secs(1);

/// Answers after the whole body was read, whatever the handler read of it.
pub(super) async fn read_leftover(request: Request, next: Next) -> Response {
    let (back, mut unread) = oneshot::channel();
    let request = request.map(|body| Body::new(Lent { body, back: Some(back) }));
    let response = next.run(request).await;
    if let Ok(body) = unread.try_recv() {
        // A rest that is too long, late or broken closes the connection, as it would unread.
        let _ = tokio::time::timeout(WAIT_MAX, to_bytes(body, LENGTH_MAX)).await;
    }
    response
}

/// A body that goes back when it is dropped before its end.
struct Lent {
    body: Body,
    back: Option<oneshot::Sender<Body>>,
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(back) = self.back.take()
            && !self.body.is_end_stream()
        {
            let _ = back.send(std::mem::take(&mut self.body));
        }
    }
}

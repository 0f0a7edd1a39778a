//! Accepting connections within bounds, and ending them without cutting an answer off.
//!
//! `axum::serve` has neither a bound on connections nor on how slowly a head may arrive, so the
//! loop is ours. Routes are the job of the module above.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinHandle;

use super::error::ApiError;
use crate::config::Http;

/// A running server. Dropping it without [`Server::stop`] lets it serve until the runtime ends.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Server {
    /// Binds and serves.
    pub(super) async fn bind(settings: &Http, router: Router) -> io::Result<Self> {
        let listener = TcpListener::bind(settings.bind).await?;
        let address = listener.local_addr()?;
        let (stop, stopped) = watch::channel(false);
        let acceptor = Acceptor {
            listener,
            router,
            places: Arc::new(Semaphore::new(settings.max_connections)),
            head_timeout: settings.timeout.duration(),
        };
        let task = tokio::spawn(acceptor.run(stopped));
        Ok(Self { address, stop, task })
    }

    /// The real address; of interest when port 0 was asked for.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more connections, finishes the requests that are worked on for at most `within`,
    /// and ends.
    pub async fn stop(self, within: Duration) {
        let _ = self.stop.send(true);
        let abort = self.task.abort_handle();
        if tokio::time::timeout(within, self.task).await.is_err() {
            abort.abort();
        }
    }
}

struct Acceptor {
    listener: TcpListener,
    router: Router,
    places: Arc<Semaphore>,
    head_timeout: Duration,
}

impl Acceptor {
    async fn run(self, mut stopped: watch::Receiver<bool>) {
        let graceful = GracefulShutdown::new();
        loop {
            let (stream, place) = tokio::select! {
                accepted = self.accept() => accepted,
                _ = stopped.wait_for(|stop| *stop) => break,
            };
            self.serve(stream, place, &graceful);
        }
        drop(self.listener);
        graceful.shutdown().await;
    }

    /// A place first, so that connections beyond the bound wait in the kernel's backlog.
    async fn accept(&self) -> (TcpStream, Option<OwnedSemaphorePermit>) {
        // The semaphore is never closed.
        let place = Arc::clone(&self.places).acquire_owned().await.ok();
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => return (stream, place),
                Err(error) => {
                    tracing::warn!(event = "http_accept_failed", %error);
                    // Out of file descriptors: trying at once again would only burn the core.
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn serve(
        &self,
        stream: TcpStream,
        place: Option<OwnedSemaphorePermit>,
        graceful: &GracefulShutdown,
    ) {
        let service = TowerToHyperService::new(self.router.clone());
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.head_timeout)
            .max_buf_size(HEAD_MAX)
            .serve_connection(TokioIo::new(stream), service);
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(event = "http_connection_ended", %error);
            }
            drop(place);
        });
    }
}

/// 100 ms: ten tries per second are enough while descriptors are short.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// 64 KiB of head and read-ahead per connection: 16 MiB with the default of 256 connections.
const HEAD_MAX: usize = 64 * 1024;

/// Ends a request that is worked on for too long, body included.
pub(super) async fn limit_time(
    State(timeout): State<Duration>,
    request: Request,
    next: Next,
) -> Response {
    tokio::time::timeout(timeout, next.run(request)).await.unwrap_or_else(|_| {
        let message = format!("the request took longer than {} s", timeout.as_secs_f64());
        ApiError::new(StatusCode::REQUEST_TIMEOUT, "REQUEST_TIMEOUT", message).into_response()
    })
}

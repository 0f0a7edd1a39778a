use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::config::{Period, Size};
use crate::telemetry::{Counter, Redacted};

struct Running {
    server: Server,
    shared: Shared,
}

fn settings() -> Http {
    Http { bind: "127.0.0.1:0".parse().unwrap(), ..Http::default() }
}

async fn running(settings: Http) -> Running {
    running_with(settings, Router::new()).await
}

async fn running_with(settings: Http, api: Router) -> Running {
    let shared = Shared { health: Arc::new(Health::new(1)), metrics: Arc::new(Metrics::new(1)) };
    let routes = Routes { guarded: api, ..Routes::default() };
    let server = start(&settings, shared.clone(), routes).await.unwrap();
    assert_ne!(server.address().port(), 0);
    Running { server, shared }
}

/// Sends a whole request and reads until the server closes.
async fn exchange(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

async fn ask(running: &Running, path: &str, headers: &str) -> (String, String) {
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n");
    let answer = exchange(running.server.address(), &request).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

fn status(head: &str) -> &str {
    head.split(' ').nth(1).unwrap()
}

#[tokio::test]
async fn health_is_503_until_ready_and_says_what_is_missing() {
    let running = running(settings()).await;
    let (head, body) = ask(&running, "/health", "").await;
    assert_eq!(status(&head), "503");
    let report: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(report["status"], "starting");
    assert_eq!(report["shards"]["alive"], 0);
    assert_eq!(report["mqtt"]["connected"], false);

    let _alive = running.shared.health.shard_started();
    running.shared.health.mqtt(true);
    running.shared.health.enter(Phase::Running);
    let (head, body) = ask(&running, "/health", "").await;
    assert_eq!(status(&head), "200");
    let report: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(report["status"], "ready");
    assert!(report["since"].as_str().is_some_and(|since| since.ends_with('Z')), "{body}");
}

#[tokio::test]
async fn metrics_are_served_as_open_metrics() {
    let running = running(settings()).await;
    running.shared.metrics.shards()[0].add(Counter::DatagramsIn, 7);
    let (head, body) = ask(&running, "/metrics", "").await;
    assert_eq!(status(&head), "200");
    assert!(head.contains("content-type: application/openmetrics-text; version=1.0.0"), "{head}");
    assert!(body.contains("lwm2m_gateway_datagrams_total{direction=\"in\"} 7\n"), "{body}");
}

#[tokio::test]
async fn unknown_paths_and_methods_are_answered_in_json() {
    let running = running(settings()).await;
    let (head, body) = ask(&running, "/nothing", "").await;
    assert_eq!(status(&head), "404");
    let error: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(error["code"], "NOT_FOUND");
    assert!(error["message"].is_string());
    let request = "DELETE /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let answer = exchange(running.server.address(), request).await;
    assert_eq!(status(&answer), "405");
    assert!(answer.contains("\"code\":\"METHOD_NOT_ALLOWED\""), "{answer}");
}

#[tokio::test]
async fn a_token_guards_everything_but_health() {
    let token = Redacted::new("secret".to_owned());
    let api = Router::new().route("/api", get(async || "api"));
    let running = running_with(Http { token, ..settings() }, api).await;
    for (path, headers, expected) in [
        ("/health", "", "503"),
        ("/metrics", "", "401"),
        ("/metrics", "Authorization: Bearer secre\r\n", "401"),
        ("/metrics", "Authorization: Bearer secret1\r\n", "401"),
        ("/metrics", "Authorization: Basic secret\r\n", "401"),
        ("/metrics", "Authorization: Bearer secret\r\n", "200"),
        ("/metrics", "Authorization: bearer secret\r\n", "200"),
        ("/api", "", "401"),
        ("/api", "Authorization: Bearer secret\r\n", "200"),
        ("/nothing", "", "401"),
        ("/nothing", "Authorization: Bearer secret\r\n", "404"),
    ] {
        let (head, _) = ask(&running, path, headers).await;
        assert_eq!(status(&head), expected, "{path} {headers}");
    }
}

#[tokio::test]
async fn a_port_that_is_taken_is_named_with_its_setting() {
    let running = running(settings()).await;
    let taken = Http { bind: running.server.address(), ..Http::default() };
    let error = start(&taken, running.shared.clone(), Routes::default()).await.unwrap_err();
    let expected = format!("http.bind = {}: ", running.server.address());
    assert!(error.to_string().starts_with(&expected), "{error}");
}

#[tokio::test]
async fn a_body_above_the_bound_is_refused() {
    let api = Router::new().route("/api", axum::routing::post(async |body: String| body));
    let running = running_with(Http { body_max: Size::bytes(4), ..settings() }, api).await;
    for (body, expected) in [("1234", "200"), ("12345", "413")] {
        let request = format!(
            "POST /api HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = exchange(running.server.address(), &request).await;
        assert_eq!(status(&answer), expected);
    }
}

#[tokio::test]
async fn slow_heads_and_slow_requests_are_ended() {
    let api = Router::new().route("/slow", get(async || std::future::pending::<()>().await));
    let timeout = Period::millis(50);
    let running = running_with(Http { timeout, ..settings() }, api).await;
    let (head, body) = ask(&running, "/slow", "").await;
    assert_eq!(status(&head), "408");
    assert!(body.contains("REQUEST_TIMEOUT"), "{body}");
    let begun = Instant::now();
    exchange(running.server.address(), "GET /health HTTP/1.1\r\nHost:").await;
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn connections_beyond_the_bound_wait_for_a_place() {
    let running = running(Http { max_connections: 1, ..settings() }).await;
    let first = TcpStream::connect(running.server.address()).await.unwrap();
    let second = ask(&running, "/health", "");
    tokio::pin!(second);
    let early = tokio::time::timeout(Duration::from_millis(100), &mut second).await;
    assert!(early.is_err(), "served beside the first");
    drop(first);
    assert_eq!(status(&second.await.0), "503");
}

#[tokio::test]
async fn a_stop_finishes_the_request_that_is_worked_on() {
    let (entered, mut entry) = tokio::sync::mpsc::channel(1);
    let api = Router::new().route(
        "/work",
        get(async move || {
            let _ = entered.send(()).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
            "done"
        }),
    );
    let running = running_with(settings(), api).await;
    let address = running.server.address();
    let request = "GET /work HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let answer = tokio::spawn(async move { exchange(address, request).await });
    entry.recv().await.unwrap();
    running.server.stop(Duration::from_secs(5)).await;
    assert!(answer.await.unwrap().ends_with("done"));
    assert!(TcpStream::connect(address).await.is_err(), "the port is closed");
}

/// A body that arrives after the answer to it could be given.
#[tokio::test]
async fn a_connection_outlives_a_body_that_nobody_wanted() {
    let running = running(settings()).await;
    let mut stream = TcpStream::connect(running.server.address()).await.unwrap();
    let head = "PUT /nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let next = "{}GET /nowhere HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(next.as_bytes()).await.unwrap();
    let mut answers = String::new();
    stream.read_to_string(&mut answers).await.unwrap();
    assert_eq!(answers.matches("HTTP/1.1 404").count(), 2, "{answers}");
}

/// A body that never comes, and one that is too long to be read for nothing.
#[tokio::test]
async fn an_unwanted_body_keeps_nobody_waiting() {
    let running = running(settings()).await;
    for rest in [String::new(), "x".repeat(200_000)] {
        let head = "PUT /nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n";
        let mut stream = TcpStream::connect(running.server.address()).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(rest.as_bytes()).await.unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 404");
    }
}

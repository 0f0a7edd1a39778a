//! An application that observes whatever registers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;

use super::app::App;
use super::process::GatewayProcess;

/// What the application counted.
#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) registered: AtomicU64,
    pub(crate) observed: AtomicU64,
    pub(crate) notified: AtomicU64,
}

/// An application that observes every device that registers, and counts what comes.
pub(crate) async fn observer(gateway: &GatewayProcess) -> (App, Arc<Counts>) {
    let counts = Arc::new(Counts::default());
    let counted = Arc::clone(&counts);
    let (registered, mut endpoints) = mpsc::unbounded_channel::<String>();
    let judge = App::connect(gateway.broker, "judge", move |message| {
        if message.topic.ends_with("/up/notify") {
            counted.notified.fetch_add(1, Ordering::Relaxed);
        } else if message.payload.contains("\"msgType\":\"register\"") {
            counted.registered.fetch_add(1, Ordering::Relaxed);
            let endpoint = message.topic.split('/').nth(1).unwrap();
            let _ = registered.send(endpoint.to_owned());
        } else if message.payload.contains("\"msgType\":\"observe\"") {
            assert!(message.payload.contains("\"2.05\""), "{}", message.payload);
            counted.observed.fetch_add(1, Ordering::Relaxed);
        }
    })
    .await;
    judge.subscribe("lwm2m/+/up/#").await;
    let commander = App::connect(gateway.broker, "commander", |_| {}).await;
    tokio::spawn(async move {
        let observe = r#"{"reqID":1,"msgType":"observe","data":{"path":"/3303/0/5700"}}"#;
        while let Some(endpoint) = endpoints.recv().await {
            commander.publish(&format!("lwm2m/{endpoint}/dn/o"), observe).await;
        }
    });
    (judge, counts)
}

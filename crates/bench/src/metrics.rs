//! The gateway's own numbers: `GET /metrics`, OpenMetrics text.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::problem::{Context, Outcome};

/// What every name begins with.
const PREFIX: &str = "lwm2m_gateway_";

/// The samples of one scrape.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics(HashMap<String, f64>);

impl Metrics {
    /// Fetches them. HTTP/1.0, so that the answer ends with the connection.
    pub(crate) fn fetch(http: SocketAddr) -> Outcome<Self> {
        let mut stream = TcpStream::connect(http).context(|| format!("http://{http}"))?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        write!(stream, "GET /metrics HTTP/1.0\r\nHost: {http}\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).context(|| format!("http://{http}/metrics"))?;
        Ok(Self::parse(&answer))
    }

    /// Lines that are no samples, HTTP headers among them, are passed over.
    fn parse(text: &str) -> Self {
        let sample = |line: &str| {
            let (name, value) = line.strip_prefix(PREFIX)?.rsplit_once(' ')?;
            Some((name.to_owned(), value.trim().parse().ok()?))
        };
        Self(text.lines().filter_map(sample).collect())
    }

    /// A sample by its name without prefix, with its labels; 0 if there is none.
    pub(crate) fn value(&self, name: &str) -> f64 {
        self.0.get(name).copied().unwrap_or(0.0)
    }

    /// A counter, by its name without prefix and `_total`; `labels` with their braces.
    pub(crate) fn count(&self, name: &str, labels: &str) -> u64 {
        self.value(&format!("{name}_total{labels}")) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_found_by_name_and_label() {
        let page = "HTTP/1.0 200 OK\r\ncontent-type: text\r\n\r\n# TYPE lwm2m_gateway_x counter\n\
                    lwm2m_gateway_datagrams_dropped_total{reason=\"kernel\"} 7\n\
                    lwm2m_gateway_devices 9.0\nother 3\n";
        let metrics = Metrics::parse(page);
        assert_eq!(metrics.count("datagrams_dropped", "{reason=\"kernel\"}"), 7);
        assert_eq!(metrics.value("devices"), 9.0);
        assert_eq!(metrics.count("datagrams_dropped", "{reason=\"other\"}"), 0);
    }
}

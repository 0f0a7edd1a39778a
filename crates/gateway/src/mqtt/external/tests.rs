//! Addresses and configuration; the connection is tested in `tests/mqtt_external.rs`.

use super::*;

#[test]
fn addresses_are_read_and_shown() {
    for (url, host, port, security, shown) in [
        ("mqtt://broker", "broker", 1883, Security::Plain, "mqtt://broker:1883"),
        ("mqtts://broker/", "broker", 8883, Security::Tls, "mqtts://broker:8883"),
        ("mqtt://10.0.0.1:99", "10.0.0.1", 99, Security::Plain, "mqtt://10.0.0.1:99"),
        ("mqtts://[::1]", "::1", 8883, Security::Tls, "mqtts://[::1]:8883"),
        ("mqtt://[fe80::1]:1", "fe80::1", 1, Security::Plain, "mqtt://[fe80::1]:1"),
    ] {
        let address: BrokerAddress = url.parse().unwrap();
        assert_eq!(address, BrokerAddress { host: host.to_owned(), port, security }, "{url}");
        assert_eq!(address.to_string(), shown);
        assert_eq!(shown.parse(), Ok(address));
    }
}

#[test]
fn what_is_no_address_is_refused_by_reason() {
    for (url, error) in [
        ("broker:1883", AddressError::Scheme),
        ("http://broker", AddressError::Scheme),
        ("mqtt://", AddressError::Host),
        ("mqtt://:1883", AddressError::Host),
        ("mqtt://[::1", AddressError::Host),
        ("mqtt://broker:0", AddressError::Port),
        ("mqtt://broker:70000", AddressError::Port),
        ("mqtt://broker:", AddressError::Port),
        ("mqtt://user@broker", AddressError::Trailing),
        ("mqtt://broker/path", AddressError::Trailing),
    ] {
        assert_eq!(url.parse::<BrokerAddress>(), Err(error), "{url}");
    }
}

#[test]
fn a_password_is_not_shown() {
    let address = "mqtt://broker".parse().unwrap();
    let password = Redacted::new(Some("hunter2".to_owned()));
    let config = ExternalConfig { password, ..ExternalConfig::new(address, "c") };
    assert!(!format!("{config:?}").contains("hunter2"));
}

struct Nobody;

#[async_trait]
impl Deliveries for Nobody {
    async fn deliver(&self, _: crate::mqtt::Incoming) {}
}

#[tokio::test]
async fn an_unusable_configuration_is_refused_at_start() {
    let start = |config| External::start(config, Arc::new(Nobody)).map(drop);
    let plain: BrokerAddress = "mqtt://broker".parse().unwrap();
    assert!(matches!(start(ExternalConfig::new(plain, "")), Err(ExternalError::ClientId)));
    let tls: BrokerAddress = "mqtts://broker".parse().unwrap();
    for ca_file in ["/nonexistent.pem", "/dev/null"] {
        let ca_file = Some(ca_file.into());
        let config = ExternalConfig { ca_file, ..ExternalConfig::new(tls.clone(), "c") };
        let error = start(config).unwrap_err().to_string();
        assert!(error.contains("mqtt.external.ca_file"), "{error}");
    }
}

//! The byte stream to an external broker: TCP, with TLS on it for `mqtts://`.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{BrokerAddress, ExternalConfig, ExternalError, Security};

/// What TLS connections are made with; `None` for plain ones.
pub(super) type Tls = Option<TlsConnector>;

/// Reads the certificates, so that a wrong file is said at start.
pub(super) fn tls(config: &ExternalConfig) -> Result<Tls, ExternalError> {
    if config.address.security == Security::Plain {
        return Ok(None);
    }
    // The embedded broker's library links a second provider, so none is chosen by default. An
    // error says that the program has chosen already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let failed = |reason| ExternalError::Tls { address: config.address.clone(), reason };
    let roots = roots(config).map_err(failed)?;
    let setup = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    Ok(Some(TlsConnector::from(Arc::new(setup))))
}

fn roots(config: &ExternalConfig) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let Some(path) = &config.ca_file else {
        let system = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(system.certs);
        return if roots.is_empty() {
            Err(format!("the system has no certificates: {:?}", system.errors))
        } else {
            Ok(roots)
        };
    };
    let name = path.display();
    let certificates = CertificateDer::pem_file_iter(path).map_err(|e| format!("{name}: {e}"))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| format!("{name}: {error}"))?;
        roots.add(certificate).map_err(|error| format!("{name}: {error}"))?;
    }
    if roots.is_empty() { Err(format!("{name}: no certificate in it")) } else { Ok(roots) }
}

/// Connects; the caller limits the time.
pub(super) async fn connect(address: &BrokerAddress, tls: &Tls) -> io::Result<Stream> {
    let tcp = TcpStream::connect((address.host.as_str(), address.port)).await?;
    tcp.set_nodelay(true)?;
    let Some(tls) = tls else { return Ok(Stream::Plain(tcp)) };
    let name = ServerName::try_from(address.host.clone())
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    Ok(Stream::Tls(Box::new(tls.connect(name, tcp).await?)))
}

/// The stream.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
        }
    }
}

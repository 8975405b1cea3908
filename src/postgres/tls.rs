//! TLS as libpq does it (PostgreSQL: "SSL Support"): which files count, what is
//! verified, and that a server certificate can be its own root.

use std::net::IpAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::pin::Pin;

use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{Ssl, SslContext, SslContextBuilder, SslFiletype, SslMethod, SslVerifyMode, SslVersion};
use openssl::x509::X509Ref;
use openssl::x509::store::{X509Lookup, X509StoreBuilderRef};
use openssl::x509::verify::X509VerifyFlags;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_openssl::SslStream;

use super::parameters::{CertificateMode, SslMode, TlsParameters};

/// An encrypted stream, with the hash of the server's certificate for channel binding (RFC 5929, tls-server-end-point).
pub(super) struct Encrypted {
    pub stream: SslStream<TcpStream>,
    pub server_end_point: Option<Vec<u8>>,
}

/// Why there is no encrypted stream.
pub(super) enum TlsError {
    /// The server has no TLS.
    NotOffered,
    /// TLS files or parameters of ours cannot be used.
    Local(String),
    /// The handshake or the verification failed.
    Handshake(String),
    /// The server closed the connection, or the network failed.
    Io(std::io::Error),
}

/// Asks for TLS ("SSL Session Encryption") and shakes hands; `host` is the name that the certificate must have.
pub(super) async fn negotiate(
    mut stream: TcpStream,
    host: &str,
    parameters: &TlsParameters,
) -> Result<Result<Encrypted, TcpStream>, TlsError> {
    if !parameters.direct {
        let mut request = bytes::BytesMut::new();
        postgres_protocol::message::frontend::ssl_request(&mut request);
        stream.write_all(&request).await.map_err(TlsError::Io)?;
        // Exactly one byte is read: what follows belongs to the handshake, whoever sent it.
        match stream.read_u8().await.map_err(TlsError::Io)? {
            b'S' => {}
            b'N' if parameters.mode >= SslMode::Require => return Err(TlsError::NotOffered),
            b'N' => return Ok(Err(stream)),
            b'E' => {
                return Err(TlsError::Handshake(
                    "the server sent an error instead of an answer to the request for TLS".to_owned(),
                ));
            }
            _ => return Err(TlsError::Handshake("this is no PostgreSQL server".to_owned())),
        }
    }
    // Not before it is needed: it takes longer than all else here, and a server without TLS does not care.
    let context = context(parameters).map_err(TlsError::Local)?;
    let ssl = session(&context, host, parameters).map_err(|error| TlsError::Local(readable(&error)))?;
    let mut stream = SslStream::new(ssl, stream).map_err(|error| TlsError::Local(readable(&error)))?;
    if let Err(error) = Pin::new(&mut stream).connect().await {
        let verdict = stream.ssl().verify_result();
        return Err(handshake_error(error, verdict));
    }
    if parameters.direct && stream.ssl().selected_alpn_protocol() != Some(b"postgresql") {
        return Err(TlsError::Handshake(
            "direct SSL connection was established without ALPN protocol negotiation extension".to_owned(),
        ));
    }
    let certificate = stream.ssl().peer_certificate();
    if parameters.mode == SslMode::VerifyFull {
        let certificate = certificate
            .as_deref()
            .ok_or_else(|| TlsError::Handshake("the server has no certificate".to_owned()))?;
        verify_name(certificate, host).map_err(TlsError::Handshake)?;
    }
    let server_end_point = certificate.as_deref().and_then(end_point_hash);
    Ok(Ok(Encrypted {
        stream,
        server_end_point,
    }))
}

fn handshake_error(error: openssl::ssl::Error, verdict: openssl::x509::X509VerifyResult) -> TlsError {
    if verdict != openssl::x509::X509VerifyResult::OK {
        return TlsError::Handshake(format!("certificate verify failed: {}", verdict.error_string()));
    }
    match error.into_io_error() {
        Ok(error) => TlsError::Io(error),
        Err(error) => match error.ssl_error() {
            Some(stack) => TlsError::Handshake(format!("SSL error: {}", readable(stack))),
            // The end of the stream in the middle of the handshake.
            None => TlsError::Io(std::io::ErrorKind::UnexpectedEof.into()),
        },
    }
}

fn readable(stack: &ErrorStack) -> String {
    let reasons: Vec<&str> = stack.errors().iter().filter_map(|error| error.reason()).collect();
    if reasons.is_empty() {
        stack.to_string()
    } else {
        reasons.join("; ")
    }
}

fn context(parameters: &TlsParameters) -> Result<SslContext, String> {
    let general = |error: ErrorStack| format!("could not create SSL context: {}", readable(&error));
    let mut builder = SslContextBuilder::new(SslMethod::tls_client()).map_err(general)?;
    builder
        .set_min_proto_version(parameters.lowest.or(Some(SslVersion::TLS1_2)))
        .map_err(general)?;
    builder.set_max_proto_version(parameters.highest).map_err(general)?;
    let has_roots = load_roots(&mut builder, parameters)?;
    load_certificate(&mut builder, parameters)?;
    builder.set_verify(if has_roots {
        SslVerifyMode::PEER
    } else {
        SslVerifyMode::NONE
    });
    Ok(builder.build())
}

fn session(context: &SslContext, host: &str, parameters: &TlsParameters) -> Result<Ssl, ErrorStack> {
    let mut ssl = Ssl::new(context)?;
    ssl.set_alpn_protos(b"\x0apostgresql")?;
    if parameters.send_name && !host.is_empty() && host.parse::<IpAddr>().is_err() && !host.contains(':') {
        ssl.set_hostname(host)?;
    }
    Ok(ssl)
}

/// Whether the server's certificate will be verified. As in libpq, roots that are there are
/// used in every mode, and only the verifying modes insist on them.
fn load_roots(builder: &mut SslContextBuilder, parameters: &TlsParameters) -> Result<bool, String> {
    let default = |name: &str| parameters.directory.as_ref().map(|directory| directory.join(name));
    let file = match parameters.roots.as_deref() {
        Some("system") => {
            builder
                .set_default_verify_paths()
                .map_err(|error| format!("could not load system root certificate paths: {}", readable(&error)))?;
            return Ok(true);
        }
        Some(file) => Some(PathBuf::from(file)),
        None => default("root.crt"),
    };
    let Some(file) = file.filter(|file| file.exists()) else {
        if parameters.mode < SslMode::VerifyCa {
            return Ok(false);
        }
        let missing = match (&parameters.roots, default("root.crt")) {
            (Some(file), _) => format!("root certificate file \"{file}\" does not exist"),
            (None, Some(file)) => format!("root certificate file \"{}\" does not exist", file.display()),
            (None, None) => "there is no home directory for the root certificate file".to_owned(),
        };
        return Err(format!(
            "{missing}; give it with sslrootcert, use the system's trusted roots with sslrootcert=system, \
             or change sslmode to disable server certificate verification"
        ));
    };
    builder.set_ca_file(&file).map_err(|error| {
        format!(
            "could not read root certificate file \"{}\": {}",
            file.display(),
            readable(&error)
        )
    })?;
    let revoked = match (&parameters.revoked, &parameters.revoked_directory) {
        (None, None) => default("root.crl"),
        (file, _) => file.clone(),
    };
    let store = builder.cert_store_mut();
    let mut check = false;
    // As in libpq, a list that cannot be read is no error, unless somebody asked for it by name.
    if let Some(file) = revoked {
        match load_revocation_file(store, &file) {
            Ok(()) => check = true,
            Err(error) if parameters.revoked.is_some() => {
                return Err(format!(
                    "could not load SSL certificate revocation list \"{}\" (sslcrl): {error}",
                    file.display()
                ));
            }
            Err(_) => {}
        }
    }
    if let Some(directory) = &parameters.revoked_directory {
        load_revocation_directory(store, directory).map_err(|error| {
            format!(
                "could not use SSL certificate revocation list directory \"{}\" (sslcrldir): {error}",
                directory.display()
            )
        })?;
        check = true;
    }
    if check {
        store
            .set_flags(X509VerifyFlags::CRL_CHECK | X509VerifyFlags::CRL_CHECK_ALL)
            .map_err(|error| readable(&error))?;
    }
    Ok(true)
}

fn utf8(path: &Path) -> Result<&str, String> {
    path.to_str().ok_or_else(|| "its path is not UTF-8".to_owned())
}

fn load_revocation_file(store: &mut X509StoreBuilderRef, file: &Path) -> Result<(), String> {
    if !file.is_file() {
        return Err("there is no such file".to_owned());
    }
    let lookup = store.add_lookup(X509Lookup::file()).map_err(|error| readable(&error))?;
    lookup
        .load_crl_file(file, SslFiletype::PEM)
        .map(drop)
        .map_err(|error| readable(&error))
}

fn load_revocation_directory(store: &mut X509StoreBuilderRef, directory: &Path) -> Result<(), String> {
    if !directory.is_dir() {
        return Err("there is no such directory".to_owned());
    }
    let lookup = store
        .add_lookup(X509Lookup::hash_dir())
        .map_err(|error| readable(&error))?;
    lookup
        .add_dir(utf8(directory)?, SslFiletype::PEM)
        .map_err(|error| readable(&error))
}

/// Our own certificate and key, if there are any.
fn load_certificate(builder: &mut SslContextBuilder, parameters: &TlsParameters) -> Result<(), String> {
    let default = |name: &str| parameters.directory.as_ref().map(|directory| directory.join(name));
    if parameters.certificate_mode == CertificateMode::Disable {
        return Ok(());
    }
    let certificate = parameters.certificate.clone().or_else(|| default("postgresql.crt"));
    // As in libpq, a certificate that is not there is not sent; the server decides whether it wants one.
    let Some(certificate) = certificate.filter(|file| file.exists()) else {
        return Ok(());
    };
    builder.set_certificate_chain_file(&certificate).map_err(|error| {
        format!(
            "could not read certificate file \"{}\": {}",
            certificate.display(),
            readable(&error)
        )
    })?;
    let key = match parameters.key.as_deref() {
        Some(name) if name.contains(':') && !name.starts_with('/') => {
            return Err(format!(
                "sslkey=\"{name}\": keys of an OpenSSL engine are not supported"
            ));
        }
        Some(name) => Some(PathBuf::from(name)),
        None => default("postgresql.key"),
    };
    let key = key.ok_or_else(|| "there is a certificate, but no private key (sslkey)".to_owned())?;
    let private = read_key(&key, parameters.key_password.as_deref())?;
    builder
        .set_private_key(&private)
        .and_then(|()| builder.check_private_key())
        .map_err(|error| {
            format!(
                "certificate \"{}\" does not match private key file \"{}\": {}",
                certificate.display(),
                key.display(),
                readable(&error)
            )
        })
}

fn read_key(file: &Path, password: Option<&str>) -> Result<PKey<Private>, String> {
    let name = file.display();
    let metadata = std::fs::metadata(file)
        .map_err(|error| format!("certificate present, but not private key file \"{name}\": {error}"))?;
    if !metadata.is_file() || metadata.file_type().is_fifo() {
        return Err(format!("private key file \"{name}\" is not a regular file"));
    }
    let forbidden = if metadata.uid() == 0 { 0o037 } else { 0o077 };
    if metadata.mode() & forbidden != 0 {
        return Err(format!(
            "private key file \"{name}\" has group or world access; file must have permissions u=rw (0600) or less \
             if owned by the current user, or permissions u=rw,g=r (0640) or less if owned by root"
        ));
    }
    let content =
        std::fs::read(file).map_err(|error| format!("could not read private key file \"{name}\": {error}"))?;
    // The callback also keeps OpenSSL from asking on the terminal.
    let from_pem = PKey::private_key_from_pem_callback(&content, |buffer| {
        let password = password.unwrap_or_default().as_bytes();
        let length = password.len().min(buffer.len());
        buffer[..length].copy_from_slice(&password[..length]);
        Ok(length)
    });
    from_pem
        .or_else(|error| PKey::private_key_from_der(&content).map_err(|_| error))
        .map_err(|error| {
            format!(
                "could not load private key file \"{name}\" (is it encrypted, and sslpassword right?): {}",
                readable(&error)
            )
        })
}

/// The hash of a certificate by its signature's digest, MD5 and SHA-1 replaced by SHA-256 (RFC 5929, 4.1).
fn end_point_hash(certificate: &X509Ref) -> Option<Vec<u8>> {
    let algorithms = certificate
        .signature_algorithm()
        .object()
        .nid()
        .signature_algorithms()?;
    let digest = match algorithms.digest {
        Nid::MD5 | Nid::SHA1 => MessageDigest::sha256(),
        nid => MessageDigest::from_nid(nid)?,
    };
    certificate.digest(digest).ok().map(|hash| hash.to_vec())
}

/// Whether the certificate is for `host`, as libpq decides it: alternative names first; the
/// common name only if there is no alternative name of the host's kind.
fn verify_name(certificate: &X509Ref, host: &str) -> Result<(), String> {
    if host.is_empty() {
        return Err("host name must be specified for a verified SSL connection".to_owned());
    }
    let address: Option<IpAddr> = host.parse().ok();
    let mut seen: Vec<String> = Vec::new();
    let mut common_name_counts = true;
    for name in certificate.subject_alt_names().iter().flatten() {
        if let Some(pattern) = name.dnsname() {
            if matches(pattern, host) {
                return Ok(());
            }
            common_name_counts &= address.is_some();
            seen.push(pattern.to_owned());
        } else if let Some(octets) = name.ipaddress() {
            let listed = <[u8; 4]>::try_from(octets)
                .map(IpAddr::from)
                .or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from));
            if listed.is_ok() && listed.ok() == address {
                return Ok(());
            }
            common_name_counts &= address.is_none();
            seen.push(listed.map(|ip| ip.to_string()).unwrap_or_default());
        }
    }
    if common_name_counts {
        let entry = certificate.subject_name().entries_by_nid(Nid::COMMONNAME).next();
        if let Some(name) = entry.and_then(|entry| entry.data().to_string().ok()) {
            if matches(&name, host) {
                return Ok(());
            }
            seen.push(name);
        }
    }
    Err(format!(
        "server certificate for \"{}\" does not match host name \"{host}\"",
        seen.join("\", \"")
    ))
}

/// A `*.` at the beginning stands for exactly one label.
fn matches(pattern: &str, host: &str) -> bool {
    if pattern.contains('\0') {
        return false;
    }
    if pattern.eq_ignore_ascii_case(host) {
        return true;
    }
    let Some(suffix) = pattern.strip_prefix('*').filter(|suffix| suffix.starts_with('.')) else {
        return false;
    };
    match host.split_once('.') {
        Some((label, _)) => !label.is_empty() && suffix.eq_ignore_ascii_case(&host[label.len()..]),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_wildcard_stands_for_one_label() {
        assert!(matches("*.example.com", "n1.Example.com"));
        assert!(matches("N1.example.com", "n1.example.com"));
        for host in ["example.com", ".example.com", "a.b.example.com", "n1.example.org", "n1"] {
            assert!(!matches("*.example.com", host), "{host}");
        }
        assert!(!matches("n*.example.com", "n1.example.com"));
        assert!(!matches("*", "n1"));
        assert!(!matches("n1.example.com\0.evil.org", "n1.example.com"));
    }
}

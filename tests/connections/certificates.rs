//! Certificates made at run time: an authority, who it vouches for, whom it takes it back from.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::symm::Cipher;
use openssl::x509::extension::{BasicConstraints, KeyUsage, SubjectAlternativeName};
use openssl::x509::{X509, X509Builder, X509NameBuilder};

use crate::support::user;

/// A certificate with its key.
pub struct Identity {
    pub certificate: X509,
    pub key: PKey<Private>,
}

/// Made for `common_name`, signed by `issuer`, or by itself.
pub fn make(common_name: &str, names: &[&str], serial: u32, issuer: Option<&Identity>) -> Identity {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    let key = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
    let mut name = X509NameBuilder::new().unwrap();
    name.append_entry_by_nid(Nid::COMMONNAME, common_name).unwrap();
    let name = name.build();
    let mut builder = X509Builder::new().unwrap();
    builder.set_version(2).unwrap();
    let serial = BigNum::from_u32(serial).unwrap().to_asn1_integer().unwrap();
    builder.set_serial_number(&serial).unwrap();
    builder.set_subject_name(&name).unwrap();
    builder
        .set_issuer_name(issuer.map_or(&name, |issuer| issuer.certificate.subject_name()))
        .unwrap();
    builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::days_from_now(2).unwrap()).unwrap();
    builder.set_pubkey(&key).unwrap();
    if issuer.is_none() && names.is_empty() {
        builder
            .append_extension(BasicConstraints::new().critical().ca().build().unwrap())
            .unwrap();
        let usage = KeyUsage::new().key_cert_sign().crl_sign().build().unwrap();
        builder.append_extension(usage).unwrap();
    }
    if !names.is_empty() {
        let mut alternative = SubjectAlternativeName::new();
        for name in names {
            match name.parse::<std::net::IpAddr>() {
                Ok(_) => alternative.ip(name),
                Err(_) => alternative.dns(name),
            };
        }
        let extension = alternative
            .build(&builder.x509v3_context(issuer.map(|issuer| &*issuer.certificate), None))
            .unwrap();
        builder.append_extension(extension).unwrap();
    }
    builder
        .sign(issuer.map_or(&key, |issuer| &issuer.key), MessageDigest::sha256())
        .unwrap();
    Identity {
        certificate: builder.build(),
        key,
    }
}

fn write(path: &Path, content: &[u8]) -> PathBuf {
    std::fs::write(path, content).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    user::give(path);
    path.to_owned()
}

impl Identity {
    /// Writes `NAME.crt` and `NAME.key`.
    pub fn write(&self, folder: &Path, name: &str) -> (PathBuf, PathBuf) {
        let certificate = self.certificate.to_pem().unwrap();
        let key = self.key.private_key_to_pem_pkcs8().unwrap();
        (
            write(&folder.join(format!("{name}.crt")), &certificate),
            write(&folder.join(format!("{name}.key")), &key),
        )
    }

    /// Writes the key with a password.
    pub fn write_encrypted_key(&self, path: &Path, password: &str) -> PathBuf {
        let key = self
            .key
            .private_key_to_pem_pkcs8_passphrase(Cipher::aes_256_cbc(), password.as_bytes());
        write(path, &key.unwrap())
    }
}

/// A revocation list of the authority whose files are `authority.crt` and `authority.key` in `folder`.
pub fn revocation_list(folder: &Path, name: &str, revoked_serials: &[u32]) -> PathBuf {
    let index: String = revoked_serials
        .iter()
        .map(|serial| format!("R\t391231235959Z\t260101000000Z\t{serial:02X}\tunknown\t/CN=x\n"))
        .collect();
    let index_file = folder.join(format!("{name}.index"));
    std::fs::write(&index_file, index).unwrap();
    let configuration = folder.join(format!("{name}.cnf"));
    let text = format!(
        "[ca]\ndefault_ca = a\n[a]\ndatabase = {}\ndefault_md = sha256\ndefault_crl_days = 2\n",
        index_file.display()
    );
    std::fs::write(&configuration, text).unwrap();
    let list = folder.join(format!("{name}.crl"));
    let status = Command::new("openssl")
        .args(["ca", "-gencrl", "-config"])
        .arg(&configuration)
        .arg("-keyfile")
        .arg(folder.join("authority.key"))
        .arg("-cert")
        .arg(folder.join("authority.crt"))
        .arg("-out")
        .arg(&list)
        .stderr(Stdio::null())
        .status();
    assert!(status.expect("openssl").success());
    list
}

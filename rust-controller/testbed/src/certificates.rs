//! The certificate authority, the serving certificate and the key that signs
//! service account tokens: made anew for each control plane.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::pki_types::CertificateDer;

use crate::error::{Error, Result};

/// Every name a client may call a server of the control plane by. The last but
/// one is the first address of the service range: `kubernetes.default`.
const NAMES: [&str; 7] = [
    "127.0.0.1",
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "10.96.0.1",
    "metrics-server.kube-system.svc",
];

/// As whom the API server passes on what it is asked for an API that another
/// server has.
pub(crate) const FRONT_PROXY: &str = "front-proxy-client";

/// Keys and certificates, as PEM unless said otherwise.
pub(crate) struct Certificates {
    /// The authority's certificate.
    pub(crate) authority: String,
    /// The same as DER.
    pub(crate) authority_der: CertificateDer<'static>,
    /// The certificate all servers show.
    pub(crate) serving: String,
    /// Its key.
    pub(crate) serving_key: String,
    /// The certificate of [`FRONT_PROXY`].
    pub(crate) front_proxy: String,
    /// Its key.
    pub(crate) front_proxy_key: String,
    /// The key that signs service account tokens.
    pub(crate) service_account_key: String,
    /// The public half, which verifies them.
    pub(crate) service_account_public_key: String,
}

impl Certificates {
    pub(crate) fn generate() -> Result<Self> {
        Self::try_generate().map_err(|error| Error::Certificates(error.to_string()))
    }

    fn try_generate() -> Result<Self, rcgen::Error> {
        let authority_key = KeyPair::generate()?;
        let authority = authority_params();
        let certificate = authority.self_signed(&authority_key)?;
        let issuer = Issuer::new(authority, authority_key);

        let serving_key = KeyPair::generate()?;
        let serving = leaf(&NAMES, "mini-karpenter-testbed server", ExtendedKeyUsagePurpose::ServerAuth)?;
        let front_proxy_key = KeyPair::generate()?;
        let front_proxy = leaf(&[], FRONT_PROXY, ExtendedKeyUsagePurpose::ClientAuth)?;

        let service_account_key = KeyPair::generate()?;
        Ok(Self {
            authority: certificate.pem(),
            authority_der: certificate.der().clone(),
            serving: serving.signed_by(&serving_key, &issuer)?.pem(),
            serving_key: serving_key.serialize_pem(),
            front_proxy: front_proxy.signed_by(&front_proxy_key, &issuer)?.pem(),
            front_proxy_key: front_proxy_key.serialize_pem(),
            service_account_key: service_account_key.serialize_pem(),
            service_account_public_key: service_account_key.public_key_pem(),
        })
    }
}

/// A certificate that the authority signs: for these host names, of this name,
/// and for this use.
fn leaf(hosts: &[&str], name: &str, usage: ExtendedKeyUsagePurpose) -> Result<CertificateParams, rcgen::Error> {
    let mut leaf = CertificateParams::new(hosts.iter().copied().map(String::from).collect::<Vec<_>>())?;
    leaf.distinguished_name.push(DnType::CommonName, name);
    leaf.extended_key_usages = vec![usage];
    leaf.use_authority_key_identifier_extension = true;
    Ok(leaf)
}

fn authority_params() -> CertificateParams {
    let mut authority = CertificateParams::default();
    authority.distinguished_name.push(DnType::CommonName, "mini-karpenter-testbed");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    authority
}

//! The certificate authority, the serving certificate and the key that signs
//! service account tokens: made anew for each control plane.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::pki_types::CertificateDer;

use crate::error::{Error, Result};

/// Every name a client may call a server of the control plane by. The last is
/// the first address of the service range: `kubernetes.default`.
const NAMES: [&str; 6] =
    ["127.0.0.1", "localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "10.96.0.1"];

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
        let mut serving = CertificateParams::new(NAMES.map(String::from))?;
        serving.distinguished_name.push(DnType::CommonName, "mini-karpenter-testbed server");
        serving.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        serving.use_authority_key_identifier_extension = true;

        let service_account_key = KeyPair::generate()?;
        Ok(Self {
            authority: certificate.pem(),
            authority_der: certificate.der().clone(),
            serving: serving.signed_by(&serving_key, &issuer)?.pem(),
            serving_key: serving_key.serialize_pem(),
            service_account_key: service_account_key.serialize_pem(),
            service_account_public_key: service_account_key.public_key_pem(),
        })
    }
}

fn authority_params() -> CertificateParams {
    let mut authority = CertificateParams::default();
    authority.distinguished_name.push(DnType::CommonName, "mini-karpenter-testbed");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    authority
}

//! One control plane, with KWOK, for all tests that need none of their own.

use std::error::Error;
use std::sync::OnceLock;
use std::time::Duration;

use testbed::{ControlPlane, Options};

/// The result of a test.
pub(crate) type TestResult = Result<(), Box<dyn Error>>;

/// What the control plane may take to do something, on a busy machine.
pub(crate) const TIMEOUT: Duration = Duration::from_mins(1);

/// Starts it for the first test that asks. Nobody drops it: that its processes
/// end with the test program is the watchdog's doing.
pub(crate) fn control_plane() -> Result<&'static ControlPlane, &'static testbed::Error> {
    static SHARED: OnceLock<testbed::Result<ControlPlane>> = OnceLock::new();
    let options = Options { kwok: true, ..Options::default() };
    SHARED.get_or_init(|| ControlPlane::start(&options)).as_ref()
}

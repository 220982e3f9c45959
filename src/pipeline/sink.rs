//! Where the rows of finished connections go: a file, a fold, a vector. In: reports, numbered, in the order of the tables.

use std::sync::Arc;

use crate::metrics::rows::ConnectionReport;

/// Makes rows of reports, on whatever thread has time.
pub type Maker<M> = Arc<dyn Fn(&[ConnectionReport]) -> M + Send + Sync>;

/// Takes the reports of a run in two steps: the first, which costs most, may be taken by several threads at once; the second
/// comes in order.
pub trait Sink: Send {
    /// What the first step makes of some reports: bytes to be written, say.
    type Made: Send + 'static;
    /// Why a report cannot be taken.
    type Error: Send;

    /// The first step.
    fn maker(&self) -> Maker<Self::Made>;

    /// The second: the next reports, and what was made of them.
    ///
    /// # Errors
    ///
    /// Those of the sink; it is given nothing more then.
    fn take(&mut self, reports: Vec<ConnectionReport>, made: Self::Made) -> Result<(), Self::Error>;

    /// A batch is complete: what was taken can be shown.
    ///
    /// # Errors
    ///
    /// As [`Sink::take`].
    fn flush(&mut self) -> Result<(), Self::Error>;
}

/// Keeps every report, for those who want to look at all of them at once.
#[derive(Default)]
pub struct Kept(pub Vec<ConnectionReport>);

impl Sink for Kept {
    type Made = ();
    type Error = std::convert::Infallible;

    fn maker(&self) -> Maker<()> {
        Arc::new(|_| ())
    }

    fn take(&mut self, reports: Vec<ConnectionReport>, (): ()) -> Result<(), Self::Error> {
        self.0.extend(reports);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}

//! Who takes what the analysis finds. In: finished connections, in batches. Out: a report, or rows in memory.

use crate::error::Error;
use crate::metrics::rows::ConnectionReport;

/// Takes connections that are final, numbered and in the order of the tables. Folding must see them in that order, one after the other;
/// rendering may be done by any number of threads, a piece of a batch each; what they rendered is written in order again.
pub trait Sink: Send {
    /// Rows as they are written.
    type Rendered: Send + 'static;
    /// Renders rows: needs nothing but them, and can be copied to every thread.
    type Renderer: Render<Rendered = Self::Rendered>;

    /// What renders for this sink.
    fn renderer(&self) -> Self::Renderer;

    /// Counts connections.
    fn fold(&mut self, reports: &[ConnectionReport]);

    /// Writes what was rendered.
    ///
    /// # Errors
    ///
    /// When it cannot be written: the run is over.
    fn write(&mut self, rendered: Self::Rendered) -> Result<(), Error>;

    /// A batch is complete: on a stream its rows can be read from now on.
    ///
    /// # Errors
    ///
    /// When they cannot be written.
    fn flush(&mut self) -> Result<(), Error>;
}

/// Renders the rows of connections.
pub trait Render: Clone + Send + Sync + 'static {
    /// Rows as they are written.
    type Rendered: Send + 'static;

    /// Renders the rows of these connections.
    ///
    /// # Errors
    ///
    /// When a format cannot hold them.
    fn render(&self, reports: &[ConnectionReport]) -> Result<Self::Rendered, Error>;
}

/// Keeps every report, for those who want to look at all of them at once.
#[derive(Default)]
pub struct Kept(pub Vec<ConnectionReport>);

/// Renders nothing.
#[derive(Clone)]
pub struct AsTheyAre;

impl Render for AsTheyAre {
    type Rendered = Vec<ConnectionReport>;

    fn render(&self, reports: &[ConnectionReport]) -> Result<Self::Rendered, Error> {
        Ok(reports.to_vec())
    }
}

impl Sink for Kept {
    type Rendered = Vec<ConnectionReport>;
    type Renderer = AsTheyAre;

    fn renderer(&self) -> AsTheyAre {
        AsTheyAre
    }

    fn fold(&mut self, _: &[ConnectionReport]) {}

    fn write(&mut self, reports: Vec<ConnectionReport>) -> Result<(), Error> {
        self.0.extend(reports);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

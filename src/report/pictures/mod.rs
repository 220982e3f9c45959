//! The four pictures. In: what the folds told, and the summary. Out: PNG or SVG, 1200 × 700, from one drawing.

mod axis;
mod census;
mod fins;
mod handshake;
mod scene;
mod time_wait;

use std::io::{self, Write};
use std::sync::Once;

use plotters::backend::{BitMapBackend, SVGBackend};
use plotters::drawing::IntoDrawingArea;
use plotters::style::{FontStyle, register_font};

use crate::metrics::folds::Told;
use crate::metrics::rows::Summary;
use crate::time::Timestamp;
use scene::{FAMILY, SCALE, SIZE, Scene};

/// A picture of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Picture {
    HandshakeLatency,
    FinRetransmissions,
    TimeWait,
    StateCensus,
}

impl Picture {
    /// All of them, in the order of the contract.
    pub const ALL: [Self; 4] = [Self::HandshakeLatency, Self::FinRetransmissions, Self::TimeWait, Self::StateCensus];

    /// The name of its file, without the ending.
    pub const fn name(self) -> &'static str {
        match self {
            Self::HandshakeLatency => "handshake_latency",
            Self::FinRetransmissions => "fin_retransmissions",
            Self::TimeWait => "time_wait",
            Self::StateCensus => "state_census",
        }
    }

    /// What it shows, in a few words.
    pub const fn title(self) -> &'static str {
        match self {
            Self::HandshakeLatency => handshake::TITLE,
            Self::FinRetransmissions => fins::TITLE,
            Self::TimeWait => time_wait::TITLE,
            Self::StateCensus => census::TITLE,
        }
    }

    fn scene(self, told: &Told, summary: &Summary) -> Scene {
        static FONTS: Once = Once::new();
        FONTS.call_once(|| {
            // They are compiled in and a test draws with both, so there is no failure to report.
            let regular: &[u8] = include_bytes!("../../../assets/FinwaitSans-Regular.otf");
            let bold: &[u8] = include_bytes!("../../../assets/FinwaitSans-Bold.otf");
            let _ = register_font(FAMILY, FontStyle::Normal, regular);
            let _ = register_font(FAMILY, FontStyle::Bold, bold);
        });
        match self {
            Self::HandshakeLatency => handshake::scene(told),
            Self::FinRetransmissions => fins::scene(told, bounds(summary)),
            Self::TimeWait => time_wait::scene(told, bounds(summary)),
            Self::StateCensus => census::scene(told, bounds(summary)),
        }
    }
}

/// The capture's beginning and end; the epoch for a capture without packets.
fn bounds(summary: &Summary) -> (Timestamp, Timestamp) {
    let first = summary.first_ts.unwrap_or_default();
    (first, summary.last_ts.unwrap_or(first).max(first))
}

const DEVICE: (u32, u32) = (SIZE.0 * SCALE, SIZE.1 * SCALE);

/// Draws `picture` as SVG: texts stay texts, in the reader's sans-serif.
///
/// # Errors
/// Those of the backend, which only drawing into a file could meet.
pub fn svg(picture: Picture, told: &Told, summary: &Summary) -> io::Result<String> {
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, DEVICE).into_drawing_area();
        scene::draw(&picture.scene(told, summary), &area, 0.0).map_err(|error| io::Error::other(error.to_string()))?;
    }
    // What all elements share is said once; quotes in texts are escaped, so these are attributes.
    let size = format!("width=\"{}\" height=\"{}\" ", DEVICE.0, DEVICE.1);
    let fonts = "Inter, system-ui, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif";
    let head = format!(
        "width=\"{}\" height=\"{}\" font-family=\"{fonts}\" role=\"img\" aria-label=\"{}\" ",
        SIZE.0,
        SIZE.1,
        picture.title()
    );
    let text = text.replacen(&size, &head, 1);
    Ok(text
        .replace(" opacity=\"1\"", "")
        .replace(&format!(" font-family=\"{FAMILY}\""), "")
        .replace("stroke=\"none\"", ""))
}

/// How far plotters' bitmap texts stand above their place, in ems.
const BITMAP_DROP: f64 = 0.16;

/// Draws `picture` as PNG.
///
/// # Errors
/// Those of `out`.
pub fn png(out: &mut dyn Write, picture: Picture, told: &Told, summary: &Summary) -> io::Result<()> {
    let mut pixels = vec![0; DEVICE.0 as usize * DEVICE.1 as usize * 3];
    {
        let area = BitMapBackend::with_buffer(&mut pixels, DEVICE).into_drawing_area();
        let scene = picture.scene(told, summary);
        scene::draw(&scene, &area, BITMAP_DROP).map_err(|error| io::Error::other(error.to_string()))?;
    }
    let mut encoder = png::Encoder::new(out, SIZE.0, SIZE.1);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&halved(&pixels))?;
    Ok(writer.finish()?)
}

/// Each pixel the mean of four, so that edges are smooth.
fn halved(pixels: &[u8]) -> Vec<u8> {
    let row = DEVICE.0 as usize * 3;
    let mut out = Vec::with_capacity(pixels.len() / 4);
    for rows in pixels.chunks_exact(2 * row) {
        let (upper, lower) = rows.split_at(row);
        for (upper, lower) in upper.chunks_exact(6).zip(lower.chunks_exact(6)) {
            if let ([a, b, c, d, e, f], [g, h, i, j, k, l]) = (upper, lower) {
                for four in [[a, d, g, j], [b, e, h, k], [c, f, i, l]] {
                    out.push((four.into_iter().map(|&part| u16::from(part)).sum::<u16>() / 4) as u8);
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests;

//! A picture before it is drawn. In: shapes and texts at their places. Out: the same list, drawn on any plotters backend.

use plotters::backend::DrawingBackend;
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, DrawingAreaErrorKind};
use plotters::element::{Circle, PathElement, Polygon, Rectangle};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontDesc, FontFamily, FontStyle, IntoTextStyle, RGBColor, ShapeStyle};

use crate::report::colors::{GRID, GROUND, INK, MUTED, Rgb};

/// Width and height of every picture, in pixels.
pub const SIZE: (u32, u32) = (1200, 700);
/// How many device units a pixel has while drawing: lines and letters are placed on halves of a pixel.
pub const SCALE: u32 = 2;
/// The name that the embedded font is registered under; also what an SVG falls back to.
pub const FAMILY: &str = "sans-serif";
/// Plotters' sizes of fonts are this much greater than the em in pixels.
const PLOTTERS_EM: f64 = 1.24;

/// Where a text stands at its x.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    Start,
    Middle,
    End,
}

/// How a text looks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Font {
    /// The em in pixels.
    pub size: f64,
    pub bold: bool,
    pub color: Rgb,
}

/// Headings.
pub const TITLE: Font = Font { size: 22.0, bold: true, color: INK };
/// What a thing is called.
pub const NAME: Font = Font { size: 13.0, bold: true, color: INK };
/// Ordinary text.
pub const TEXT: Font = Font { size: 13.0, bold: false, color: INK };
/// Axes and remarks.
pub const NOTE: Font = Font { size: 12.0, bold: false, color: MUTED };

/// One thing of a picture; places are pixels from the left and the top.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    Rect { at: [f64; 4], fill: Rgb },
    Frame { at: [f64; 4], color: Rgb },
    Polygon { points: Vec<(f64, f64)>, fill: Rgb },
    Line { points: Vec<(f64, f64)>, color: Rgb, width: f64 },
    Dot { at: (f64, f64), radius: f64, color: Rgb, filled: bool },
    Text { at: (f64, f64), anchor: Anchor, font: Font, text: String },
}

/// The items, those drawn later on top.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scene {
    pub items: Vec<Item>,
}

impl Scene {
    /// A filled rectangle from (left, top) to (right, bottom).
    pub fn rect(&mut self, left: f64, top: f64, right: f64, bottom: f64, fill: Rgb) {
        self.items.push(Item::Rect { at: [left, top, right, bottom], fill });
    }

    /// The outline of a rectangle.
    pub fn frame(&mut self, left: f64, top: f64, right: f64, bottom: f64, color: Rgb) {
        self.items.push(Item::Frame { at: [left, top, right, bottom], color });
    }

    pub fn line(&mut self, from: (f64, f64), to: (f64, f64), color: Rgb, width: f64) {
        self.items.push(Item::Line { points: vec![from, to], color, width });
    }

    /// A text whose middle height is `at.1`.
    pub fn text(&mut self, at: (f64, f64), anchor: Anchor, font: Font, text: impl Into<String>) {
        self.items.push(Item::Text { at, anchor, font, text: text.into() });
    }

    pub fn dot(&mut self, at: (f64, f64), radius: f64, color: Rgb, filled: bool) {
        self.items.push(Item::Dot { at, radius, color, filled });
    }

    /// The heading of every picture.
    pub fn title(&mut self, title: &str, subtitle: &str) {
        self.text((24.0, 32.0), Anchor::Start, TITLE, title);
        self.text((24.0, 58.0), Anchor::Start, Font { size: 13.0, ..NOTE }, shorten(subtitle, TEXT, 1150.0));
    }

    /// A picture without data: a sentence, and one that says why.
    pub fn nothing(&mut self, sentence: &str, why: &str) {
        self.text((600.0, 340.0), Anchor::Middle, Font { size: 18.0, ..TEXT }, sentence);
        self.text((600.0, 368.0), Anchor::Middle, Font { size: 13.0, ..NOTE }, why);
    }

    /// A picture of what the run was not asked to keep.
    pub fn unasked(&mut self, title: &str) {
        self.title(title, "Not kept in this run");
        self.nothing("What this picture shows was not kept.", "No picture was asked for when the run began.");
    }

    /// A grid line.
    pub fn grid(&mut self, from: (f64, f64), to: (f64, f64)) {
        self.line(from, to, GRID, 0.5);
    }

    /// Diagonal lines inside columns (left, right, top, bottom) that stand side by side: what is assumed or censored.
    pub fn hatch(&mut self, columns: &[[f64; 4]], color: Rgb) {
        const STEP: f64 = 6.0;
        let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
        for [left, right, top, bottom] in columns {
            (least, most) = (least.min(left + top), most.max(right + bottom));
        }
        let mut sum = (least / STEP).ceil() * STEP;
        while sum < most {
            // On the line x + y = sum, one stretch a column; stretches that meet are one line.
            let mut open: Option<(f64, f64)> = None;
            for &[left, right, top, bottom] in columns {
                let (from, to) = (left.max(sum - bottom), right.min(sum - top));
                let inside = to > from;
                match (&mut open, inside) {
                    (Some(open), true) if (open.1 - from).abs() < 0.01 => open.1 = to,
                    (_, true) => {
                        self.stretch(open.replace((from, to)), sum, color);
                    }
                    (_, false) => {}
                }
            }
            self.stretch(open, sum, color);
            sum += STEP;
        }
    }

    fn stretch(&mut self, x: Option<(f64, f64)>, sum: f64, color: Rgb) {
        if let Some((from, to)) = x {
            self.line((from, sum - from), (to, sum - to), color, 1.0);
        }
    }
}

/// The width of `text` in pixels.
pub fn width(text: &str, font: Font) -> f64 {
    let of_one_em = 100.0;
    let wide = describe(font, of_one_em / font.size).box_size(text).map_or(0, |size| size.0);
    f64::from(wide) * font.size / of_one_em
}

/// How much wider than the embedded font a reader's own may be, which an SVG is shown in.
const WIDER: f64 = 1.13;

/// `text`, with an ellipsis in its middle if it is wider than `room`: both ends of an address tell most.
pub fn shorten(text: &str, font: Font, room: f64) -> String {
    let room = room / WIDER;
    if width(text, font) <= room {
        return text.to_owned();
    }
    let letters: Vec<char> = text.chars().collect();
    let mut kept = letters.len();
    loop {
        kept = kept.saturating_sub(1);
        let (head, tail) = (kept.div_ceil(2), kept / 2);
        let short: String =
            letters.iter().take(head).chain(&['…']).chain(letters.iter().skip(letters.len() - tail)).collect();
        if kept == 0 || width(&short, font) <= room {
            return short;
        }
    }
}

fn describe(font: Font, scale: f64) -> FontDesc<'static> {
    let style = if font.bold { FontStyle::Bold } else { FontStyle::Normal };
    FontDesc::new(FontFamily::Name(FAMILY), font.size * scale * PLOTTERS_EM, style)
}

fn rgb(color: Rgb) -> RGBColor {
    RGBColor(color.0, color.1, color.2)
}

/// Draws `scene` on a backend of [`SIZE`] × [`SCALE`]. `drop` is how far below its place a backend must be told to draw a
/// text, in ems, to put its middle there.
pub fn draw<DB: DrawingBackend>(
    scene: &Scene,
    area: &DrawingArea<DB, Shift>,
    drop: f64,
) -> Result<(), DrawingAreaErrorKind<DB::ErrorType>> {
    let scale = f64::from(SCALE);
    let unit = |value: f64| (value * scale).round() as i32;
    let place = |(x, y): (f64, f64)| (unit(x), unit(y));
    area.fill(&rgb(GROUND))?;
    for item in &scene.items {
        match item {
            Item::Rect { at: [left, top, right, bottom], fill } => {
                let corners = [place((*left, *top)), place((*right, *bottom))];
                area.draw(&Rectangle::new(corners, rgb(*fill).filled()))?;
            }
            Item::Frame { at: [left, top, right, bottom], color } => {
                let corners = [place((*left, *top)), place((*right, *bottom))];
                area.draw(&Rectangle::new(corners, rgb(*color).stroke_width(SCALE)))?;
            }
            Item::Polygon { points, fill } => {
                let points: Vec<_> = points.iter().copied().map(place).collect();
                area.draw(&Polygon::new(points, rgb(*fill).filled()))?;
            }
            Item::Line { points, color, width } => {
                let points: Vec<_> = points.iter().copied().map(place).collect();
                let width = (width * scale).round().max(1.0) as u32;
                area.draw(&PathElement::new(points, rgb(*color).stroke_width(width)))?;
            }
            Item::Dot { at, radius, color, filled } => {
                let style = ShapeStyle { color: rgb(*color).to_rgba(), filled: *filled, stroke_width: SCALE };
                area.draw(&Circle::new(place(*at), unit(*radius).max(1), style))?;
            }
            Item::Text { at, anchor, font, text } => {
                let side = match anchor {
                    Anchor::Start => HPos::Left,
                    Anchor::Middle => HPos::Center,
                    Anchor::End => HPos::Right,
                };
                let color = rgb(font.color);
                let style = describe(*font, scale).into_text_style(&SIZE).color(&color);
                let style = style.pos(Pos::new(side, VPos::Center));
                area.draw_text(text, &style, place((at.0, at.1 + drop * font.size)))?;
            }
        }
    }
    area.present()
}

/// Fills columns (left, right, top, bottom) that stand side by side: a polygon for every run of them that is not empty.
pub fn steps(scene: &mut Scene, columns: &[[f64; 4]], fill: Rgb) {
    // Thinner than half a device unit would not be drawn.
    let thin = |column: &[f64; 4]| column[3] - column[2] < 0.5 / f64::from(SCALE) || column[1] <= column[0];
    let joined = |a: &[f64; 4], b: &[f64; 4]| !thin(a) && !thin(b) && (b[0] - a[1]).abs() < 0.5;
    for run in columns.chunk_by(joined) {
        let mut upper: Vec<(f64, f64)> = Vec::new();
        let mut lower: Vec<(f64, f64)> = Vec::new();
        for &[left, right, top, bottom] in run.iter().filter(|column| !thin(column)) {
            for (edge, y) in [(&mut upper, top), (&mut lower, bottom)] {
                match edge.last_mut() {
                    Some(last) if last.1 == y => last.0 = right,
                    _ => edge.extend([(left, y), (right, y)]),
                }
            }
        }
        if !upper.is_empty() {
            upper.extend(lower.into_iter().rev());
            scene.items.push(Item::Polygon { points: upper, fill });
        }
    }
}

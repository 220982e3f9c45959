//! Pictures of made-up runs of every size.

use super::*;
use crate::metrics::folds::Told;
use crate::metrics::synthetic::{Run, Shape, run};

fn made_up(connections: usize) -> (Told, Summary) {
    let run = run(Shape { connections, ..Shape::default() });
    (run.told(), run.summary)
}

fn scenes(connections: usize) -> Vec<(Picture, Scene)> {
    let (told, summary) = made_up(connections);
    Picture::ALL.into_iter().map(|picture| (picture, picture.scene(&told, &summary))).collect()
}

/// Left, top, right, bottom of a text.
fn extent(item: &scene::Item) -> Option<([f64; 4], &str)> {
    let scene::Item::Text { at, anchor, font, text } = item else { return None };
    let wide = scene::width(text, *font);
    let left = match anchor {
        scene::Anchor::Start => at.0,
        scene::Anchor::Middle => at.0 - wide / 2.0,
        scene::Anchor::End => at.0 - wide,
    };
    Some(([left, at.1 - font.size * 0.4, left + wide, at.1 + font.size * 0.4], text))
}

#[test]
fn no_text_covers_another_or_leaves_the_picture() {
    for connections in [0, 1, 2, 5, 20, 300, 5_000] {
        for (picture, scene) in scenes(connections) {
            let texts: Vec<_> = scene.items.iter().filter_map(extent).collect();
            for (n, ([left, top, right, bottom], text)) in texts.iter().enumerate() {
                let name = picture.name();
                assert!(*left >= 0.0 && *right <= 1200.0 && *top >= 0.0 && *bottom <= 700.0, "{name}: {text}");
                for ([l, t, r, b], other) in &texts[..n] {
                    let apart = r <= left || right <= l || b <= top || bottom <= t;
                    assert!(apart, "{name} of {connections}: {text:?} covers {other:?}");
                }
            }
        }
    }
}

#[test]
fn everything_lies_inside_the_picture() {
    for connections in [1, 20, 5_000] {
        for (picture, scene) in scenes(connections) {
            let inside = |&(x, y): &(f64, f64)| (0.0..=1200.0).contains(&x) && (0.0..=700.0).contains(&y);
            for item in &scene.items {
                let fits = match item {
                    scene::Item::Rect { at: [l, t, r, b], .. } | scene::Item::Frame { at: [l, t, r, b], .. } => {
                        inside(&(*l, *t)) && inside(&(*r, *b)) && l <= r && t <= b
                    }
                    scene::Item::Polygon { points, .. } | scene::Item::Line { points, .. } => points.iter().all(inside),
                    scene::Item::Dot { at, .. } | scene::Item::Text { at, .. } => inside(at),
                };
                assert!(fits, "{} of {connections}: {item:?}", picture.name());
            }
        }
    }
}

fn decoded(picture: Picture, connections: usize) -> (u32, u32, Vec<u8>) {
    let (told, summary) = made_up(connections);
    let mut bytes = Vec::new();
    png(&mut bytes, picture, &told, &summary).unwrap();
    let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    (info.width, info.height, pixels)
}

#[test]
fn every_picture_is_1200_by_700_and_shows_its_data() {
    for picture in Picture::ALL {
        let (wide, high, few) = decoded(picture, 20);
        assert_eq!((wide, high), (1200, 700));
        let (_, _, none) = decoded(picture, 0);
        let (_, _, many) = decoded(picture, 500);
        assert!(few != none && few != many, "{}", picture.name());
        // Dark pixels: the letters of both fonts were found and drawn.
        let dark = none.chunks(3).filter(|pixel| pixel.iter().all(|&part| part < 80)).count();
        assert!(dark > 500, "{}: {dark}", picture.name());
        let title = none.chunks(3).take(1200 * 45).filter(|pixel| pixel.iter().all(|&part| part < 80)).count();
        assert!(title > 300, "{}: {title}", picture.name());
    }
}

#[test]
fn an_svg_is_well_formed_has_its_title_and_stays_small() {
    for connections in [0, 20, 30_000] {
        let (told, summary) = made_up(connections);
        for picture in Picture::ALL {
            let text = svg(picture, &told, &summary).unwrap();
            let head = "<svg width=\"1200\" height=\"700\" font-family=\"Inter, ";
            assert!(text.starts_with(head), "{}", &text[..200]);
            assert!(text.contains("viewBox=\"0 0 2400 1400\""));
            assert!(text.contains(picture.title()));
            assert!(text.trim_end().ends_with("</svg>"));
            assert_eq!(text.matches("<text ").count(), text.matches("</text>").count());
            assert!(text.lines().filter(|line| line.starts_with('<')).all(|line| line.ends_with('>')));
            assert!(text.len() < 400_000, "{}: {}", picture.name(), text.len());
        }
    }
}

#[test]
fn hostile_extremes_are_drawn_without_a_panic() {
    use crate::tcp::state::{Side, State};
    let mut run = run(Shape { connections: 60, ..Shape::default() });
    (run.summary.first_ts, run.summary.last_ts) = (Some(Timestamp::MIN), Some(Timestamp::MAX));
    let (mut stays, mut n) = (0, 0);
    for report in &mut run.reports {
        report.connection.handshake_ns = [Some(0), Some(-5), Some(i64::MAX), Some(i64::MIN)][n % 4];
        n += 1;
        for stay in &mut report.time_wait {
            stay.entered_ts = [Timestamp::MAX, Timestamp::MIN][stays % 2];
            stay.ended_ts = [None, Some(Timestamp::MIN)][stays / 2 % 2];
            stays += 1;
        }
        report.fin_retransmissions.iter_mut().for_each(|row| row.since_previous_ns = Some(i64::MAX - 1));
    }
    let mut told = run.told();
    for ts in [Timestamp::MIN, Timestamp::MAX] {
        let (side, state) = (Side::Client, State::TimeWait);
        told.state_census.get_or_insert_default().push(crate::metrics::rows::CensusRow {
            bucket_ts: ts,
            side,
            state,
            connections: u64::MAX / 4,
        });
    }
    let Run { mut summary, .. } = run;
    for picture in Picture::ALL {
        assert!(svg(picture, &told, &summary).unwrap().len() < 2_000_000);
    }
    (summary.first_ts, summary.last_ts) = (None, None);
    for picture in Picture::ALL {
        svg(picture, &told, &summary).unwrap();
    }
}

#[test]
fn a_census_of_very_many_buckets_is_thinned() {
    use crate::metrics::rows::CensusRow;
    use crate::tcp::state::{Side, State};
    let (mut told, summary) = made_up(1);
    let first = summary.first_ts.unwrap().as_nanos();
    let rows = (1..=60_000_i64).map(|n| CensusRow {
        bucket_ts: Timestamp::from_nanos(first + n * 10_000_000),
        side: Side::Server,
        state: State::Established,
        connections: (n % 7 + 1).unsigned_abs(),
    });
    told.state_census = Some(rows.collect());
    assert!(svg(Picture::StateCensus, &told, &summary).unwrap().len() < 100_000);
}

//! Text: which glyphs, from which font, how wide.
//!
//! Noto Sans first; what it lacks (Georgian, Armenian, Hebrew, Arabic) comes from DejaVu Sans Condensed; what both lack
//! becomes U+FFFD, as PDF/A allows no missing glyph. Shaping is HarfBuzz's, so marks and ligatures are placed rightly. A
//! run of one font is laid in its own direction; runs follow each other from left to right.

use super::PdfError;
use super::layout::Mpt;
use krilla::text::Font;
use rustybuzz::{Direction, Face, Script, ShapePlan, UnicodeBuffer};
use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;

/// Colour of text, rules and areas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ink {
    /// Text.
    Text,
    /// Labels and notes.
    Muted,
    /// Titles and strong rules.
    Accent,
    /// Background of what must be seen first.
    Tint,
    /// Hairlines.
    Hair,
    /// What is provisional.
    Warning,
}

impl Ink {
    /// Red, green, blue.
    pub(crate) const fn rgb(self) -> (u8, u8, u8) {
        match self {
            Self::Text => (24, 28, 36),
            Self::Muted => (96, 103, 115),
            Self::Accent => (20, 58, 104),
            Self::Tint => (238, 243, 249),
            Self::Hair => (205, 211, 220),
            Self::Warning => (163, 38, 28),
        }
    }
}

/// How a text looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Style {
    pub(crate) size: Mpt,
    pub(crate) bold: bool,
    pub(crate) ink: Ink,
}

impl Style {
    pub(crate) const fn new(size: Mpt, ink: Ink) -> Self {
        Self {
            size,
            bold: false,
            ink,
        }
    }

    pub(crate) const fn bold(self) -> Self {
        Self { bold: true, ..self }
    }

    /// Distance of base lines.
    pub(crate) const fn leading(self) -> Mpt {
        self.size * 7 / 5
    }
}

/// A glyph, in units of its font.
#[derive(Clone, Debug)]
pub(crate) struct Shaped {
    pub(crate) glyph: u32,
    pub(crate) advance: i32,
    pub(crate) dx: i32,
    pub(crate) dy: i32,
    /// The bytes of the run's text that it shows.
    pub(crate) text: Range<usize>,
}

/// Text in one font.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    face: usize,
    pub(crate) text: String,
    pub(crate) glyphs: Vec<Shaped>,
}

struct Loaded {
    font: Font,
    face: Face<'static>,
    /// How each script of a document is shaped: finding that out costs far more than to shape a word.
    plans: RefCell<Vec<(Direction, Script, Rc<ShapePlan>)>>,
}

impl Loaded {
    fn new(name: &'static str, bytes: &'static [u8]) -> Result<Self, PdfError> {
        Ok(Self {
            font: Font::new(bytes.into(), 0).ok_or(PdfError::Font(name))?,
            face: Face::from_slice(bytes, 0).ok_or(PdfError::Font(name))?,
            plans: RefCell::default(),
        })
    }

    /// The plan for a buffer's direction and script; none has a language.
    fn plan(&self, buffer: &UnicodeBuffer) -> Rc<ShapePlan> {
        let (direction, script) = (buffer.direction(), buffer.script());
        let mut plans = self.plans.borrow_mut();
        let known = plans.iter().find(|(for_direction, for_script, _)| {
            (*for_direction, *for_script) == (direction, script)
        });
        if let Some((_, _, plan)) = known {
            return Rc::clone(plan);
        }
        let plan = ShapePlan::new(&self.face, direction, Some(script), None, &[]);
        let plan = Rc::new(plan);
        plans.push((direction, script, Rc::clone(&plan)));
        plan
    }

    fn has(&self, c: char) -> bool {
        self.face.glyph_index(c).is_some()
    }
}

/// The four embedded fonts. Loading costs about a millisecond; one set serves a document.
pub(crate) struct Fonts([Loaded; 4]);

/// Indices: regular, bold, then the same of the fallback.
const FALLBACK: usize = 2;

impl Fonts {
    pub(crate) fn load() -> Result<Self, PdfError> {
        Ok(Self([
            Loaded::new("Noto Sans", notosans::REGULAR_TTF)?,
            Loaded::new("Noto Sans Bold", notosans::BOLD_TTF)?,
            Loaded::new("DejaVu Sans Condensed", dejavu::sans_condensed::regular())?,
            Loaded::new("DejaVu Sans Condensed Bold", dejavu::sans_condensed::bold())?,
        ]))
    }

    pub(crate) fn font(&self, run: &Run) -> Font {
        self.0[run.face].font.clone()
    }

    pub(crate) fn units_per_em(&self, run: &Run) -> i32 {
        self.0[run.face].face.units_per_em()
    }

    /// The runs of a text.
    pub(crate) fn shape(&self, text: &str, style: Style) -> Vec<Run> {
        let first = usize::from(style.bold);
        let mut runs: Vec<(usize, String)> = Vec::new();
        for c in text.chars() {
            let last = runs.last().map(|run| run.0);
            let (face, c) = self.choose(c, first, last);
            match runs.last_mut() {
                Some(run) if run.0 == face => run.1.push(c),
                _ => runs.push((face, c.to_string())),
            }
        }
        runs.into_iter()
            .map(|(face, text)| Run {
                glyphs: self.glyphs(face, &text),
                face,
                text,
            })
            .collect()
    }

    /// The font of a character. A space stays with the word in front of it, so that a name in another script is one run.
    fn choose(&self, c: char, first: usize, last: Option<usize>) -> (usize, char) {
        if let Some(last) = last
            && c == ' '
            && self.0[last].has(c)
        {
            return (last, c);
        }
        let fonts = [first, first + FALLBACK];
        match fonts.into_iter().find(|face| self.0[*face].has(c)) {
            Some(face) => (face, c),
            None => (first, char::REPLACEMENT_CHARACTER),
        }
    }

    fn glyphs(&self, face: usize, text: &str) -> Vec<Shaped> {
        let mut buffer = UnicodeBuffer::new();
        buffer.push_str(text);
        buffer.guess_segment_properties();
        let font = &self.0[face];
        let plan = font.plan(&buffer);
        let shaped = rustybuzz::shape_with_plan(&font.face, &plan, buffer);
        let mut starts: Vec<usize> = shaped
            .glyph_infos()
            .iter()
            .map(|info| info.cluster as usize)
            .collect();
        starts.sort_unstable();
        let end = |start: usize| {
            let next = starts.partition_point(|other| *other <= start);
            starts.get(next).copied().unwrap_or(text.len())
        };
        shaped
            .glyph_infos()
            .iter()
            .zip(shaped.glyph_positions())
            .map(|(info, position)| Shaped {
                glyph: info.glyph_id,
                advance: position.x_advance,
                dx: position.x_offset,
                dy: position.y_offset,
                text: info.cluster as usize..end(info.cluster as usize),
            })
            .collect()
    }

    /// Width of a run at a size.
    pub(crate) fn run_width(&self, run: &Run, size: Mpt) -> Mpt {
        let units: i64 = run.glyphs.iter().map(|g| i64::from(g.advance)).sum();
        let width = units * i64::from(size) / i64::from(self.units_per_em(run));
        Mpt::try_from(width).unwrap_or(Mpt::MAX / 4)
    }

    /// Width of a text.
    pub(crate) fn width(&self, text: &str, style: Style) -> Mpt {
        self.shape(text, style)
            .iter()
            .map(|run| self.run_width(run, style.size))
            .fold(0, Mpt::saturating_add)
    }

    /// The style, smaller where the text would be wider than `max`.
    pub(crate) fn fitted(&self, text: &str, style: Style, max: Mpt) -> Style {
        let width = self.width(text, style);
        if width <= max {
            return style;
        }
        let size = i64::from(style.size) * i64::from(max) / i64::from(width);
        Style {
            size: Mpt::try_from(size).unwrap_or(style.size),
            ..style
        }
    }

    /// The text in lines no wider than `max`: broken at spaces, and inside of words only where a word alone is wider.
    pub(crate) fn wrap(&self, text: &str, style: Style, max: Mpt) -> Vec<String> {
        let space = self.width(" ", style);
        let mut lines: Vec<String> = Vec::new();
        let mut line = String::new();
        let mut used = 0;
        for word in text.split(' ').filter(|word| !word.is_empty()) {
            for (at, piece) in self.pieces(word, style, max).into_iter().enumerate() {
                let width = self.width(&piece, style);
                if line.is_empty() {
                    used = width;
                } else if at == 0 && used + space + width <= max {
                    line.push(' ');
                    used += space + width;
                } else {
                    lines.push(std::mem::take(&mut line));
                    used = width;
                }
                line.push_str(&piece);
            }
        }
        lines.push(line);
        lines
    }

    /// A word in pieces that fit; most are one.
    fn pieces(&self, word: &str, style: Style, max: Mpt) -> Vec<String> {
        if self.width(word, style) <= max {
            return vec![word.to_owned()];
        }
        let mut pieces = vec![String::new()];
        for c in word.chars() {
            let last = pieces.len() - 1;
            let longer = format!("{}{c}", pieces[last]);
            if pieces[last].is_empty() || self.width(&longer, style) <= max {
                pieces[last] = longer;
            } else {
                pieces.push(c.to_string());
            }
        }
        pieces
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STYLE: Style = Style::new(9_000, Ink::Text);

    #[test]
    fn names_of_every_european_script_have_glyphs() {
        let fonts = Fonts::load().unwrap();
        for name in [
            "Þórður Łukasiewicz & Søn, Šiauliai, İzmir, Ħamrun",
            "Αρτοποιείο Ξένος",
            "Пекарня «Щука» Ґданськ ѝ Љубица",
            "საცხობი თბილისი",
            "Հացատուն Երևան",
            "מאפייה",
        ] {
            for style in [STYLE, STYLE.bold()] {
                let runs = fonts.shape(name, style);
                let missing = runs.iter().flat_map(|r| &r.glyphs).any(|g| g.glyph == 0);
                let replaced = runs.iter().any(|r| r.text.contains('\u{fffd}'));
                assert!(!missing && !replaced, "{name}");
                let text: String = runs.iter().map(|r| r.text.as_str()).collect();
                assert_eq!(text, name);
            }
        }
        let runs = fonts.shape("漢字", STYLE);
        assert_eq!(runs[0].text, "\u{fffd}\u{fffd}");
        assert!(runs[0].glyphs.iter().all(|g| g.glyph != 0));
    }

    #[test]
    fn wrapped_lines_fit_and_lose_nothing() {
        let fonts = Fonts::load().unwrap();
        let text = "Vereinigte Handelsgesellschaft der Bäckereien Donaudampfschifffahrtsgesellschaftskapitänsmütze mbH";
        let lines = fonts.wrap(text, STYLE, 120_000);
        assert!(lines.len() > 3);
        for line in &lines {
            assert!(fonts.width(line, STYLE) <= 120_000, "{line}");
        }
        let squeezed = |text: &str| text.replace(' ', "");
        assert_eq!(squeezed(&lines.concat()), squeezed(text));
        assert_eq!(fonts.wrap("", STYLE, 1), [""]);
    }

    #[test]
    fn a_figure_that_is_too_wide_gets_smaller() {
        let fonts = Fonts::load().unwrap();
        let fitted = fonts.fitted("+9 223 372 036 854.775808", STYLE, 60_000);
        assert!(fitted.size < STYLE.size);
        assert!(fonts.width("+9 223 372 036 854.775808", fitted) <= 60_000);
        assert_eq!(fonts.fitted("1", STYLE, 60_000), STYLE);
    }

    #[test]
    fn digits_and_signs_are_equally_wide() {
        let fonts = Fonts::load().unwrap();
        for style in [STYLE, STYLE.bold()] {
            let widths: Vec<Mpt> = ["0", "1", "7", "+", "\u{2212}"]
                .iter()
                .map(|text| fonts.width(text, style))
                .collect();
            assert!(widths.iter().all(|width| *width == widths[0]), "{widths:?}");
        }
    }
}

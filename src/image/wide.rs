//! Samples of more than 8 bits, and how they become 8-bit samples.

use std::str::FromStr;

use half::f16;

/// Which values of samples of more than 8 bits become black and white. Samples of 8 bits and less are not
/// changed.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub enum SampleRange {
    /// The file's own range. Integers: the range that the file names, else its bit depth; in 16, 32 and 64 bits
    /// the largest value rounded up to the next of 10, 12, 14, 16 (then 18, 20, ...) bits. Floats: 0..1 if all
    /// values lie there, else 0..255.
    #[default]
    Auto,
    /// The whole range of the sample type.
    Full,
    /// These values; what lies outside becomes black or white.
    Given {
        /// The value that becomes black.
        min: f64,
        /// The value that becomes white.
        max: f64,
    },
    /// As Pillow's `convert("RGB")`, which the reference calls: grey values above 255 become white, of 16-bit
    /// colours the high byte is kept.
    Reference,
    /// For masks: 0 stays 0, every other value becomes white.
    NonZero,
}

impl SampleRange {
    /// The range on the command line and in results.
    pub fn name(&self) -> String {
        match self {
            Self::Auto => "auto".to_owned(),
            Self::Full => "full".to_owned(),
            Self::Given { min, max } => format!("{min}:{max}"),
            Self::Reference => "reference".to_owned(),
            Self::NonZero => "nonzero".to_owned(),
        }
    }
}

impl FromStr for SampleRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refused = || "expected auto, full, reference, or MIN:MAX with MIN below MAX".to_owned();
        let number = |text: &str| text.parse::<f64>().ok().filter(|v| v.is_finite());
        match text {
            "auto" => Ok(Self::Auto),
            "full" => Ok(Self::Full),
            "reference" => Ok(Self::Reference),
            _ => match text.split_once(':').and_then(|(min, max)| number(min).zip(number(max))) {
                Some((min, max)) if min < max => Ok(Self::Given { min, max }),
                _ => Err(refused()),
            },
        }
    }
}

/// The type of samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SampleKind {
    /// Integers without a sign.
    Unsigned,
    /// Integers with a sign.
    Signed,
    /// Floating-point numbers.
    Float,
}

impl SampleKind {
    /// The name in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unsigned => "unsigned",
            Self::Signed => "signed",
            Self::Float => "float",
        }
    }
}

/// Samples as the file has them, in the narrowest type that holds them.
pub(super) enum Wide {
    U8(Vec<u8>),
    U16(Vec<u16>),
    F32(Vec<f32>),
    F64(Vec<f64>),
}

/// The samples of a file.
pub(super) struct WideSamples {
    pub values: Wide,
    /// Samples per pixel.
    pub channels: usize,
    /// The first ones of them, which are colours and have one common range; at most one more is alpha.
    pub colours: usize,
    /// Bits per sample.
    pub bits: u32,
    pub kind: SampleKind,
    /// The lowest and the highest value that the file names.
    pub declared: Option<(f64, f64)>,
}

/// 8-bit samples, and how they were made of wider ones.
pub(super) struct Narrowed {
    pub samples: Vec<u8>,
    /// The values that became black and white; `None`: nothing was changed.
    pub range: Option<(f64, f64)>,
    /// What was assumed.
    pub warning: Option<String>,
}

/// The range of values, and what was assumed.
type Chosen = ((f64, f64), Option<String>);

impl WideSamples {
    /// 8-bit samples.
    ///
    /// # Errors
    /// No range is known: the reason.
    pub fn narrow(mut self, range: SampleRange) -> Result<Narrowed, String> {
        let (colours, channels) = (self.colours, self.channels);
        if let Wide::U8(samples) = &mut self.values {
            let mut samples = std::mem::take(samples);
            if self.bits < 8 {
                let most = (1u32 << self.bits) - 1;
                samples.iter_mut().for_each(|v| *v = ((u32::from(*v) * 255 + most / 2) / most) as u8);
            }
            return Ok(Narrowed { samples, range: None, warning: None });
        }
        let alpha = (channels > colours).then(|| self.opaque());
        if range == SampleRange::NonZero {
            let samples = self.mapped(|v, _| if v == 0.0 || v.is_nan() { 0 } else { 255 });
            return Ok(Narrowed { samples, range: None, warning: None });
        }
        let ((low, high), warning) = self.choose(range)?;
        // Whole powers of two keep their highest bits, as Pillow does.
        let span = high - low + 1.0;
        let whole = self.kind != SampleKind::Float && span >= 256.0 && span.log2().fract() == 0.0;
        let clips = range == SampleRange::Reference && channels == 1;
        let map = |v: f64| {
            if clips {
                v.clamp(0.0, 255.0) as u8
            } else if whole {
                ((v - low) * (256.0 / span)).clamp(0.0, 255.0) as u8
            } else {
                linear(v, (low, high))
            }
        };
        let samples = self.mapped(|v, channel| match alpha {
            Some(top) if channel >= colours => linear(v, (0.0, top)),
            _ => map(v),
        });
        Ok(Narrowed { samples, range: Some((low, high)), warning })
    }

    /// The values through a function of value and channel.
    fn mapped(&self, map: impl Fn(f64, usize) -> u8) -> Vec<u8> {
        let channels = self.channels.max(1);
        fn each<T: Copy + Into<f64>>(
            values: &[T],
            channels: usize,
            map: impl Fn(f64, usize) -> u8,
        ) -> Vec<u8> {
            values.iter().enumerate().map(|(i, &v)| map(v.into(), i % channels)).collect()
        }
        match &self.values {
            Wide::U8(values) => each(values, channels, map),
            // A table is faster than the arithmetic.
            Wide::U16(values) => {
                let most = values.iter().copied().max().unwrap_or(0);
                let table = |channel| (0..=most).map(|v| map(f64::from(v), channel)).collect::<Vec<u8>>();
                let (first, last) = (table(0), table(channels - 1));
                let look = |(i, &v): (usize, &u16)| {
                    let table = if i % channels < self.colours { &first } else { &last };
                    table.get(usize::from(v)).copied().unwrap_or(255)
                };
                values.iter().enumerate().map(look).collect()
            }
            Wide::F32(values) => each(values, channels, map),
            Wide::F64(values) => each(values, channels, map),
        }
    }

    /// The lowest and the highest value of some channels, and whether some value is not a number.
    fn ends(&self, wanted: impl Fn(usize) -> bool) -> (f64, f64, bool) {
        let channels = self.channels.max(1);
        fn of<T: Copy + Into<f64>>(
            values: &[T],
            channels: usize,
            wanted: impl Fn(usize) -> bool,
        ) -> (f64, f64, bool) {
            let mut found = (f64::INFINITY, f64::NEG_INFINITY, false);
            for (_, &value) in values.iter().enumerate().filter(|(i, _)| wanted(i % channels)) {
                let value: f64 = value.into();
                found = (found.0.min(value), found.1.max(value), found.2 || value.is_nan());
            }
            found
        }
        match &self.values {
            Wide::U8(values) => of(values, channels, wanted),
            Wide::U16(values) => of(values, channels, wanted),
            Wide::F32(values) => of(values, channels, wanted),
            Wide::F64(values) => of(values, channels, wanted),
        }
    }

    /// The alpha that is opaque.
    fn opaque(&self) -> f64 {
        let (_, high, _) = self.ends(|channel| channel >= self.colours);
        match self.kind {
            SampleKind::Float if high <= 1.0 => 1.0,
            SampleKind::Float => high.max(255.0),
            _ => power(self.steps(high)) - 1.0,
        }
    }

    /// Bits of values that are not negative.
    fn depth(&self) -> u32 {
        self.bits - u32::from(self.kind == SampleKind::Signed)
    }

    /// The depth that a largest value stands for.
    fn steps(&self, largest: f64) -> u32 {
        if !self.bits.is_multiple_of(16) {
            return self.depth();
        }
        let steps = (10..self.depth()).step_by(2);
        steps.into_iter().find(|&bits| largest < power(bits)).unwrap_or(self.depth())
    }

    fn full(&self) -> (f64, f64) {
        let top = power(self.depth()) - 1.0;
        if self.kind == SampleKind::Signed { (-top - 1.0, top) } else { (0.0, top) }
    }

    fn choose(&self, range: SampleRange) -> Result<Chosen, String> {
        let float = self.kind == SampleKind::Float;
        let grey = self.channels == 1;
        let (low, high, odd) = self.ends(|channel| channel < self.colours);
        match range {
            SampleRange::Given { min, max } => {
                let lost = odd.then(|| "values that are not numbers became black".to_owned());
                Ok(((min, max), lost))
            }
            _ if odd => {
                Err("it has values that are not numbers: --range MIN:MAX makes them black".to_owned())
            }
            SampleRange::Reference if grey => {
                let lost = (high > 255.0).then(|| {
                    "values above 255 became white, as in the reference; --range auto keeps them".to_owned()
                });
                Ok(((0.0, 255.0), lost))
            }
            SampleRange::Reference if float => {
                Err("the reference does not read colours of floating-point numbers".to_owned())
            }
            SampleRange::Full if float => {
                Err("floating-point numbers have no full range: --range MIN:MAX names one".to_owned())
            }
            SampleRange::Full | SampleRange::Reference | SampleRange::NonZero => Ok((self.full(), None)),
            _ if float => self.of_floats(low, high),
            _ => Ok(self.of_integers(low, high)),
        }
    }

    fn of_floats(&self, low: f64, high: f64) -> Result<Chosen, String> {
        // Half a step of the result: computed values often miss the ends by a rounding error.
        let inside = |top: f64| low >= -top / 512.0 && high <= top + top / 512.0;
        let found = [1.0, 255.0].into_iter().find(|&top| inside(top)).map(|top| (0.0, top));
        let fits = |&(min, max): &(f64, f64)| min <= low && high <= max;
        let Some((min, max)) = found.or(self.declared.filter(fits)) else {
            return Err(format!(
                "its values go from {low} to {high}, which is neither within 0 to 1 nor within 0 to 255: --range \
                 MIN:MAX names their range"
            ));
        };
        Ok(((min, max), Some(assumed(min, max, "all values lie there"))))
    }

    fn of_integers(&self, low: f64, high: f64) -> Chosen {
        if let Some((min, max)) = self.declared.filter(|&(min, max)| min <= low && high <= max) {
            return ((min, max), Some(assumed(min, max, "named in the file")));
        }
        if low < 0.0 {
            let (min, max) = self.full();
            return ((min, max), Some(assumed(min, max, "some values are negative")));
        }
        let top = power(self.steps(high)) - 1.0;
        // Depths of 10, 12 and 14 bits are facts; 16 bits and more often hold fewer.
        let guessed = self.bits.is_multiple_of(16) || self.kind == SampleKind::Signed;
        ((0.0, top), guessed.then(|| assumed(0.0, top, "by the largest value")))
    }
}

fn assumed(min: f64, max: f64, why: &str) -> String {
    format!("values {min} to {max} became black to white ({why}); --range MIN:MAX sets others")
}

fn power(bits: u32) -> f64 {
    2f64.powi(bits as i32)
}

/// `low..high` to 0..255, rounded; values that are not numbers to 0.
fn linear(value: f64, (low, high): (f64, f64)) -> u8 {
    ((value - low) / (high - low) * 255.0).round().clamp(0.0, 255.0) as u8
}

/// The value of a 16-bit float.
pub(super) fn half(bits: u16) -> f32 {
    f16::from_bits(bits).to_f32()
}

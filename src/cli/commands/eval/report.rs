//! The page of an evaluation, and the pictures with wrong verdicts.

use std::collections::BTreeMap;
use std::path::Path;

use aaclip::dataset::{Dataset, Sample};
use aaclip::evaluation::{ClassEvaluation, Compared, PictureResult, Store, Table};
use aaclip::image::{DecodeOptions, Picture, decode};
use aaclip::map::GreyMap;
use aaclip::metrics::{Maps, Ranking, Truth};
use aaclip::output::{Artefact, ArtefactNames, ColourScale, Pictures, outline, overlay, save, thumbnail};
use aaclip::page::{EvaluationPage, Mistake, PageClass, PageCurves, PageTable, WorstPicture};
use aaclip::progress::Progress;
use aaclip::{Detector, Error, Result, files};
use image::Rgb;
use ndarray::Array2;

/// Number of pictures of each kind on the page.
const SHOWN: usize = 12;

/// Longest side of a picture on the page, in pixels.
const THUMBNAIL: u32 = 320;

/// Colour of the border of true defects.
const TRUTH: Rgb<u8> = Rgb([0, 230, 160]);

/// The content of the page.
pub struct Report<'a> {
    pub data: &'a Dataset,
    pub detectors: &'a BTreeMap<String, Detector>,
    pub store: &'a Store,
    pub table: &'a Table,
    pub compared: Option<&'a Compared<'a>>,
    pub problems: &'a [String],
    pub decoding: &'a DecodeOptions,
    /// Upper limit of the false-positive rate for PRO.
    pub pro_limit: f64,
}

/// A picture and its error: positive if its score is on the wrong side of its class's best F1 threshold.
struct Judged<'a> {
    sample: &'a Sample,
    result: &'a PictureResult,
    error: f32,
}

/// A picture with its maps.
struct Painted {
    picture: Picture,
    /// At the model's resolution.
    map: Array2<f32>,
    /// At the picture's size.
    probabilities: Array2<f32>,
    mask: Option<Picture>,
}

impl Judged<'_> {
    fn mistake(&self) -> Option<Mistake> {
        match (self.result.anomalous, self.error) {
            (false, e) if e >= 0.0 => Some(Mistake::FalsePositive),
            (true, e) if e > 0.0 => Some(Mistake::FalseNegative),
            _ => None,
        }
    }

    fn word(&self) -> &'static str {
        match self.mistake() {
            Some(Mistake::FalsePositive) => "false-positive",
            Some(Mistake::FalseNegative) => "false-negative",
            None => "right",
        }
    }
}

impl Report<'_> {
    /// All pictures of classes with both labels, the worst error first.
    fn judged(&self) -> Vec<Judged<'_>> {
        let thresholds: BTreeMap<&str, f32> = (self.table.classes().iter())
            .filter_map(|c| Some((c.class.as_str(), c.image.as_ref()?.f1_threshold)))
            .collect();
        let judge = |sample| -> Option<Judged<'_>> {
            let sample: &Sample = sample;
            let result = self.store.get(&sample.name)?;
            let above = result.score - thresholds.get(sample.class.as_str())?;
            Some(Judged { sample, result, error: if result.anomalous { -above } else { above } })
        };
        let mut all: Vec<_> = self.data.samples.iter().filter_map(judge).collect();
        all.sort_by(|a, b| b.error.total_cmp(&a.error));
        all
    }

    /// Writes the page.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let manifest = self.store.manifest();
        let judged = self.judged();
        let mut worst = Vec::new();
        for mistake in [Mistake::FalsePositive, Mistake::FalseNegative] {
            let wrong = judged.iter().filter(|j| j.mistake() == Some(mistake)).take(SHOWN);
            // A picture that was deleted after scoring is missing on the page, but not in the figures.
            worst.extend(wrong.filter_map(|j| self.shown(j, mistake).ok()));
        }
        let mut facts: Vec<(String, String)> = vec![
            ("data set".into(), manifest.dataset.clone()),
            ("model".into(), manifest.model.clone()),
            ("program".into(), format!("aaclip {}", manifest.version)),
            ("settings".into(), manifest.settings.digest()),
        ];
        facts.extend(manifest.settings.iter().map(|(k, v)| (k.replace('_', " "), v.to_owned())));
        let (head, rows) = self.table.cells();
        let caption = "Figures in percent. Image figures by our score, which depends on each picture alone; \
                       ref. by the official evaluation's, which stretches it over the class."
            .to_owned();
        let comparison = self.compared.filter(|c| !c.is_empty()).map(|compared| {
            let (head, rows) = compared.cells();
            let caption = "Published figures, not measured here, with our difference in brackets.".to_owned();
            PageTable { caption, head, rows }
        });
        let classes: Vec<PageClass> = self.table.classes().iter().map(|c| self.class(c)).collect();
        let page = EvaluationPage {
            title: &format!("{} on {}", manifest.method, manifest.dataset),
            facts: &facts,
            notes: self.problems,
            table: &PageTable { caption, head, rows },
            comparison: comparison.as_ref(),
            classes: &classes,
            worst: &worst,
        };
        files::write_atomic(path, page.render().as_bytes()).map_err(|e| Error::io("write", path, e))
    }

    fn class(&self, class: &ClassEvaluation) -> PageClass {
        let scores = |anomalous: bool| -> Vec<f32> {
            let mine = self.data.samples.iter().filter(|s| s.class == class.class);
            let results = mine.filter_map(|s| self.store.get(&s.name));
            results.filter(|r| r.anomalous == anomalous).map(|r| r.score).collect()
        };
        let pixel = class.pixel.as_ref();
        PageClass {
            name: class.class.clone(),
            image: class.image.as_ref().map(|r| curves(r, None)),
            pixel: pixel.and_then(|p| {
                Some(curves(p.ranking.as_ref()?, p.aupro.map(|value| (value, self.pro_limit))))
            }),
            good_scores: scores(false),
            anomalous_scores: scores(true),
            threshold: class.image.as_ref().map(|r| r.f1_threshold),
        }
    }

    /// A picture with its maps.
    fn picture(&self, judged: &Judged<'_>) -> Result<Painted> {
        let detector = self.detectors.get(&judged.sample.class);
        let detector = detector
            .ok_or_else(|| Error::Setting(format!("class {} has no detector", judged.sample.class)))?;
        let picture = decode(&judged.sample.path, self.decoding)?;
        let size = self.store.manifest().image_size;
        let truths = [Truth::good(size * size)];
        let mut values = Vec::new();
        self.store.maps(&[judged.result], &truths)?.read(0, &mut values)?;
        let map = Array2::from_shape_vec((size, size), values)
            .map_err(|e| Error::Setting(format!("a stored map of another size: {e}")))?;
        let probabilities = detector.probabilities(map.view(), picture.width(), picture.height())?;
        let mask = judged.sample.read_mask(self.decoding).ok().flatten().map(|read| read.mask);
        Ok(Painted { picture, map, probabilities, mask })
    }

    fn shown(&self, judged: &Judged<'_>, mistake: Mistake) -> Result<WorstPicture> {
        let Painted { picture, probabilities, mask, .. } = self.picture(judged)?;
        let rgb = picture.to_rgb();
        let range = self.detectors.get(&judged.sample.class).and_then(Detector::range).unwrap_or_default();
        let mut painted = overlay(&rgb, probabilities.view(), ColourScale::Range(range));
        let (width, height) = painted.dimensions();
        if let Some(mask) = mask.filter(|m| (m.width(), m.height()) == (width as usize, height as usize)) {
            let grey = mask.to_grey();
            let inside = |x: u32, y: u32| grey[y as usize * width as usize + x as usize] > 0;
            outline(&mut painted, inside, TRUTH, width.max(height) / THUMBNAIL);
        }
        let jpeg = |picture| {
            thumbnail(picture, THUMBNAIL, 85)
                .map_err(|e| Error::Setting(format!("a thumbnail could not be encoded: {e}")))
        };
        let (thumbnail, width, height) = jpeg(&rgb)?;
        let (overlay, ..) = jpeg(&painted)?;
        Ok(WorstPicture {
            mistake,
            class: judged.sample.class.clone(),
            name: judged.sample.name.clone(),
            score: judged.result.score,
            thumbnail,
            overlay,
            width,
            height,
        })
    }

    /// Writes files for the worst `top` pictures (0: all) into `folder`, numbered by error.
    ///
    /// # Errors
    /// A file cannot be written. Pictures that cannot be read any more are skipped.
    pub fn save_pictures(
        &self,
        kinds: &[Artefact],
        top: usize,
        folder: &Path,
        progress: Progress,
    ) -> Result<()> {
        if kinds.is_empty() {
            return Ok(());
        }
        let judged = self.judged();
        let count = if top == 0 { judged.len() } else { top.min(judged.len()) };
        let bar = progress.items(count as u64, "painting");
        for (i, judged) in judged.iter().take(count).enumerate() {
            if let Ok(Painted { picture, map, probabilities, .. }) = self.picture(judged) {
                let name = judged.sample.name.replace(['/', '\\'], "-");
                let stem = folder.join(format!("{:04}-{}-{name}", i + 1, judged.word()));
                let detector = self.detectors.get(&judged.sample.class);
                let range = detector.and_then(Detector::range).unwrap_or_default();
                let pictures = Pictures {
                    picture: &picture,
                    grey: &GreyMap::new(probabilities.view()),
                    raw: &map,
                    scale: ColourScale::Range(range),
                    threshold: range.visible(),
                };
                save(kinds, &ArtefactNames { stem }, &pictures)?;
            }
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok(())
    }
}

/// The curves of a ranking, with PRO and its limit if available.
fn curves(ranking: &Ranking, aupro: Option<(f64, f64)>) -> PageCurves {
    let percent = |v: f64| format!("{:.1}", 100.0 * v);
    let points = |f: fn(&aaclip::metrics::CurvePoint) -> (f64, f64)| ranking.curve.iter().map(f);
    let from_zero = |f| -> Vec<(f64, f64)> { [(0.0, 0.0)].into_iter().chain(points(f)).collect() };
    let mut summary = format!(
        "AUROC {} · AP {} · F1-max {}",
        percent(ranking.auroc),
        percent(ranking.average_precision),
        percent(ranking.f1_max)
    );
    if let Some((aupro, _)) = aupro {
        summary += &format!(" · PRO {}", percent(aupro));
    }
    PageCurves {
        roc: from_zero(|p| (p.false_positive_rate, p.recall)),
        pr: points(|p| (p.recall, p.precision)).collect(),
        pro: aupro.map(|(_, limit)| {
            let mut all: Vec<_> = from_zero(|p| (p.false_positive_rate, p.overlap));
            all.retain(|p| p.0 <= limit);
            all
        }),
        summary,
    }
}

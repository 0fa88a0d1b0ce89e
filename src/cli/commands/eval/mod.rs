//! `aaclip eval`.

mod references;
mod report;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use aaclip::anchors::ClassName;
use aaclip::dataset::{Dataset, Label, Layout, Mask, Problem, ProblemKind, Sample};
use aaclip::evaluation::{Compared, Manifest, PictureResult, Published, Store, Table, TableFormat, evaluate};
use aaclip::files::Stamp;
use aaclip::image::DecodeOptions;
use aaclip::metrics::{Maps, Truth};
use aaclip::passed::PassedOver;
use aaclip::{Components, Detector, Error, References, Result, files};
use rayon::prelude::*;
use serde::Serialize;

use crate::cli::args::eval::EvalArgs;
use crate::cli::classes;
use crate::cli::exit_code;
use crate::cli::messages;
use crate::cli::scorers::provenance;
use crate::cli::scoring::{self, Job};
use crate::cli::stats;

pub fn run(args: EvalArgs) -> Result<ExitCode> {
    args.check()?;
    let mut data = Dataset::open(&args.root, args.layout)?;
    if !args.classes.is_empty() {
        data.keep_classes(&args.classes)?;
    }
    if let Some(limit) = args.limit {
        data.limit(limit as usize);
    }
    let mut problems = Problems::default();
    data.problems.iter().for_each(|p| problems.add(p.kind.label(), p.to_string()));
    messages::passed_over(&data.passed_over);
    if data.layout == Layout::MvtecLoco {
        messages::warn(
            "warning: PRO is over the regions of united masks; the sPRO of MVTec LOCO, with the saturation thresholds of \
             defects_config.json, is not computed",
        );
    }

    let mut builder = args.detector.builder(messages::progress())?;
    if (args.peers.is_some() || args.shots.is_some()) && !args.detector.method.is_named() {
        builder = builder.method(aaclip::methods::nearest::METHOD.name);
    }
    let mut opened = builder.open()?;
    let compared = references::of_classes(&mut data, &args, opened.method())?;
    if let Some(compared) = &compared {
        // The results depend on all of them.
        opened = opened
            .with_references(compared.values().cloned().fold(References::default(), References::and))?;
    }
    messages::note(|| opened.summary());
    let named = classes::name(&data, &args.naming, &opened)?;
    let published = Published::load()?;
    let mut manifest = Manifest::new(
        dataset_name(&data),
        opened.model_name().to_owned(),
        opened.image_size(),
        provenance(&opened, &args.detector)?,
    );
    manifest.classes = named.classes.iter().map(|(key, name)| (key.clone(), name.text.clone())).collect();
    let mut store =
        Store::open(&args.out, manifest, args.fresh).map_err(|e| messages::advise(e, "--fresh"))?;

    let started = Instant::now();
    let detectors = match &compared {
        Some(compared) => {
            let none = References::default();
            let one = |(class, name): (&String, &ClassName)| {
                let references = compared.get(class).unwrap_or(&none);
                Ok((class.clone(), opened.detector_with(name, references)?))
            };
            named.classes.iter().map(one).collect::<Result<_>>()?
        }
        None => opened.detectors(&named.classes)?,
    };
    messages::cautions(detectors.values());
    let ready = started.elapsed();
    let scored = look(&data, &detectors, &mut store, &args, &mut problems)?;
    let looked = started.elapsed() - ready;

    let decoding = args.detector.decode_options();
    let mut evaluated = Vec::new();
    for (class, detector) in &detectors {
        let finished: Vec<(&Sample, &PictureResult)> = (data.samples.iter())
            .filter(|s| s.class == *class)
            .filter_map(|s| Some((s, store.get(&s.name)?)))
            .collect();
        let results: Vec<&PictureResult> = finished.iter().map(|f| f.1).collect();
        let (with_truth, truths) = truths(&finished, detector, &decoding, &mut problems);
        let maps = store.maps(&with_truth, &truths)?;
        let options = args.pixel_options();
        let pixels = options.as_ref().map(|options| (&maps as &dyn Maps, options));
        let components: Vec<Components> = results.iter().map(|r| r.components).collect();
        let official = detector.class().official_scores(&components);
        evaluated.push(evaluate(class, &results, &official, pixels)?);
    }
    problems.end();
    let table = Table::new(evaluated);
    let compared = (args.compare.is_some())
        .then(|| published.compare(named.dataset.as_deref().unwrap_or_default(), opened.method(), &table));

    let about = About {
        manifest: store.manifest(),
        pictures: data.samples.len(),
        problems: &problems.all,
        warnings: &problems.said,
        passed_over: &data.passed_over,
    };
    write_tables(&args.out, &table, &about, compared.as_ref())?;
    let page = report::Report {
        data: &data,
        detectors: &detectors,
        store: &store,
        table: &table,
        compared: compared.as_ref(),
        problems: &problems.all,
        decoding: &decoding,
        pro_limit: args.pro_limit,
    };
    page.write(&args.out.join("report.html"))?;
    let saved: Vec<_> = args.save.iter().map(|&kind| kind.into()).collect();
    page.save_pictures(&saved, args.save_top, &args.out.join("pictures"), messages::progress())?;
    print(&table, &about, compared.as_ref(), args.format.into())?;

    messages::note(|| {
        format!(
            "{scored} scored in {:.2} s ({:.2} a second), {} taken from {}, in all {}",
            looked.as_secs_f64(),
            scored as f64 / looked.as_secs_f64().max(1e-9),
            data.samples.len().saturating_sub(scored),
            args.out.display(),
            stats::cost(started)
        )
    });
    let code = exit_code(problems.all.is_empty());
    if args.discard_maps {
        store.discard_maps()?;
    }
    Ok(code)
}

/// Unusable and doubtful files, for the reports.
#[derive(Default)]
struct Problems {
    /// Unusable files, printed when found.
    all: Vec<String>,
    /// Their number by kind.
    kinds: BTreeMap<&'static str, usize>,
    warnings: Vec<Problem>,
    /// The warnings in words, each kind once.
    said: Vec<String>,
}

impl Problems {
    fn add(&mut self, kind: &'static str, problem: String) {
        messages::error(&problem);
        *self.kinds.entry(kind).or_default() += 1;
        self.all.push(problem);
    }

    /// A problem or a warning about a mask.
    fn mask(&mut self, problem: Problem) {
        match problem.kind.is_warning() {
            true => self.warnings.push(problem),
            false => self.add(problem.kind.label(), problem.to_string()),
        }
    }

    /// Says the warnings, and how many problems there are of each kind.
    fn end(&mut self) {
        self.said = messages::doubts(&self.warnings);
        self.said.iter().for_each(messages::warn);
        if self.all.len() > 1 {
            let kinds: Vec<String> = self.kinds.iter().map(|(kind, n)| format!("{kind} {n}")).collect();
            messages::error(format!("{} problems: {}", self.all.len(), kinds.join(", ")));
        }
    }
}

/// The facts above the table.
#[derive(Serialize)]
struct About<'a> {
    #[serde(flatten)]
    manifest: &'a Manifest,
    pictures: usize,
    problems: &'a [String],
    warnings: &'a [String],
    passed_over: &'a PassedOver,
}

/// The folder's name and the layout.
fn dataset_name(data: &Dataset) -> String {
    let whole = std::fs::canonicalize(&data.root).unwrap_or_else(|_| data.root.clone());
    let name = whole.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    format!("{name} ({})", data.layout.name())
}

/// Scores the pictures without a result and returns their number.
fn look(
    data: &Dataset,
    detectors: &BTreeMap<String, Detector>,
    store: &mut Store,
    args: &EvalArgs,
    problems: &mut Problems,
) -> Result<usize> {
    let mut pending = Vec::new();
    for sample in &data.samples {
        let file = Stamp::read(&sample.path);
        let known = store.get(&sample.name).is_some_and(|r| r.file == file && r.class == sample.class);
        if !known {
            pending.push((sample, file));
        }
    }
    let jobs: Vec<Job<'_>> = (pending.iter())
        .filter_map(|(s, _)| Some(Job { path: &s.path, detector: detectors.get(&s.class)? }))
        .collect();
    let bar = messages::progress().items(data.samples.len() as u64, "scoring");
    bar.inc((data.samples.len() - pending.len()) as u64);
    bar.reset_eta();
    let mut scored = 0;
    scoring::score(&jobs, &args.detector.decode_options(), &args.detector.memory(), |i, found| {
        let (sample, file) = &pending[i];
        match found {
            Ok(found) => {
                let result = PictureResult {
                    name: sample.name.clone(),
                    class: sample.class.clone(),
                    kind: sample.kind.clone(),
                    anomalous: sample.label == Label::Anomalous,
                    score: found.score,
                    components: found.components,
                    map: 0,
                    file: *file,
                };
                store.add(result, found.square_map().view())?;
                scored += 1;
            }
            Err(e @ Error::Image(_)) => {
                bar.suspend(|| problems.add(ProblemKind::UnreadablePicture.label(), e.to_string()))
            }
            Err(e) => {
                bar.suspend(|| problems.add("not scored", format!("{}: {e}", sample.path.display())));
            }
        }
        bar.inc(1);
        Ok(())
    })?;
    bar.finish_and_clear();
    Ok(scored)
}

/// The results with known masks, with their ground truths at the model's resolution.
fn truths<'a>(
    finished: &[(&Sample, &'a PictureResult)],
    detector: &Detector,
    decoding: &DecodeOptions,
    problems: &mut Problems,
) -> (Vec<&'a PictureResult>, Vec<Truth>) {
    let size = detector.image_size();
    let truth = |sample: &Sample| -> Result<(Option<Truth>, Vec<Problem>)> {
        match (&sample.mask, sample.read_mask(decoding)?) {
            (Mask::None, _) => Ok((Some(Truth::good(size * size)), Vec::new())),
            (_, None) => Ok((None, Vec::new())),
            (_, Some(read)) => Ok((Some(Truth::new(&detector.mask(&read.mask)?, size)), read.problems)),
        }
    };
    let made: Vec<_> = finished.par_iter().map(|(sample, result)| (*result, truth(sample))).collect();
    let mut known = (Vec::new(), Vec::new());
    for (result, truth) in made {
        match truth {
            Ok((truth, doubts)) => {
                doubts.into_iter().for_each(|doubt| problems.mask(doubt));
                if let Some(truth) = truth {
                    known.0.push(result);
                    known.1.push(truth);
                }
            }
            Err(e) => {
                problems.add(ProblemKind::UnreadableMask.label(), format!("mask of {}: {e}", result.name));
            }
        }
    }
    known
}

fn write_tables(out: &Path, table: &Table, about: &About<'_>, compared: Option<&Compared<'_>>) -> Result<()> {
    for (name, format) in [
        ("table.md", TableFormat::Markdown),
        ("table.csv", TableFormat::Csv),
        ("table.json", TableFormat::Json),
    ] {
        let path = out.join(name);
        let io = |e| Error::io("write", &path, e);
        let mut text = table.render(format, about).map_err(io)?;
        if let (TableFormat::Markdown, Some(compared)) = (format, compared) {
            text += &format!("\n{}", compared.render(format));
        }
        files::write_atomic(&path, text.as_bytes()).map_err(io)?;
    }
    Ok(())
}

fn print(
    table: &Table,
    about: &About<'_>,
    compared: Option<&Compared<'_>>,
    format: TableFormat,
) -> Result<()> {
    let io = |e| Error::io("write to", "stdout", e);
    let mut text = table.render(format, about).map_err(io)?;
    if let (TableFormat::Text | TableFormat::Markdown, Some(compared)) = (format, compared) {
        text.push('\n');
        if compared.is_empty() {
            text += "No published figures are known for this data set.\n";
        } else {
            text += &compared.render(format);
        }
    }
    messages::print(text)
}

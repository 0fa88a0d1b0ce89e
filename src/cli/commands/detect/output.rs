//! The outputs of `aaclip detect`: stdout, and the journal of an output folder.

use std::collections::HashMap;
use std::io::StdoutLock;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use aaclip::batch::{BatchError, FileState, Finished, Input, Listing, Manifest, RunResults};
use aaclip::files::{self, Stamp, is_hopeless};
use aaclip::output::{Artefact, ArtefactNames, Outcome, Record, Stale, StoredMap};
use aaclip::{Error, PictureName, Provenance, Result, Scorer, ScorerSettings, Source, image};

use crate::cli::args::detect::DetectArgs;
use crate::cli::commands::detect::shown::Shown;

/// The output folder of a run.
pub struct Place {
    pub folder: PathBuf,
    artefacts: Vec<Artefact>,
    /// The base folder of relative paths in its journal, if it is not the current folder.
    elsewhere: Option<PathBuf>,
}

impl Place {
    /// The output folder in the arguments, if any, after checking that it can be written to.
    ///
    /// # Errors
    /// It cannot be written to.
    pub fn open(args: &DetectArgs) -> Result<Option<Self>> {
        let Some(folder) = args.output_folder() else { return Ok(None) };
        if folder.exists() && !folder.is_dir() {
            let path = folder.display();
            return Err(Error::Setting(format!("{path} is not a folder: name another one with --out")));
        }
        files::try_folder(&folder).map_err(|e| Error::io("write to the output folder", &folder, e))?;
        Ok(Some(Self { folder, artefacts: args.artefacts(), elsewhere: None }))
    }

    /// Opens the journal of a run over many pictures.
    ///
    /// # Errors
    /// The folder has results of other settings, or another process writes to it.
    pub fn journal(&mut self, args: &DetectArgs, mut settings: Provenance) -> Result<(RunResults, Finished)> {
        let names: Vec<&str> = self.artefacts.iter().map(|a| a.name()).collect();
        settings.set("save", names.join(","));
        settings.set("hash", args.many.hash);
        let shard = args.many.shard;
        // Locked before anything is removed, because another run may use the folder.
        let path = self.folder.join(RunResults::file_name(shard));
        let mut journal = RunResults::lock(&path)?;
        if args.many.restart {
            let manifest = self.folder.join(Manifest::file_name(shard));
            match std::fs::remove_file(&manifest) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::io("remove", manifest, e));
                }
                _ => journal.clear()?,
            }
        }
        let manifest = Manifest::new(settings);
        let has_results = !journal.is_empty()?;
        let started_in = manifest.claim(&self.folder, shard, has_results).inspect_err(|_| {
            if !has_results {
                // It may have been created just now.
                let _ = std::fs::remove_file(&path);
            }
        })?;
        let read = RunResults::read(journal, args.many.hash, &started_in)?;
        self.elsewhere = (started_in != manifest.started_in).then_some(manifest.started_in);
        Ok(read)
    }

    /// Checks that no picture of the run has the same name as another picture with a result here.
    ///
    /// # Errors
    /// Such a picture exists; the first is named.
    pub fn check(&self, listing: &Listing, finished: &Finished) -> Result<()> {
        if finished.is_empty() {
            return Ok(());
        }
        for input in listing.iter().filter_map(Result::ok) {
            if let Some(there) = finished.namesake(&input.name(), &input.path) {
                let here = input.path;
                return Err(BatchError::OtherPicture { folder: self.folder.clone(), there, here }.into());
            }
        }
        Ok(())
    }

    fn names(&self, input: &Input) -> ArtefactNames {
        ArtefactNames { stem: self.folder.join(input.inside()) }
    }

    /// A picture's path as stored in the journal.
    fn kept_path(&self, path: &str) -> String {
        match &self.elsewhere {
            Some(here) if Path::new(path).is_relative() => here.join(path).to_string_lossy().into_owned(),
            _ => path.to_owned(),
        }
    }

    /// The path of a stored file as printed on stdout.
    fn shown(&self, file: &str) -> String {
        self.folder.join(file).to_string_lossy().into_owned()
    }

    /// The path of a printed file as stored in the journal, so that the folder can be moved.
    fn kept(&self, file: &str) -> String {
        let inside = Path::new(file).strip_prefix(&self.folder);
        let inside = inside.map_or(file.into(), Path::to_string_lossy);
        // On Windows a backslash separates folders; elsewhere it is part of a name.
        if cfg!(windows) { inside.replace('\\', "/") } else { inside.into_owned() }
    }
}

/// The journal of a run over many pictures.
pub struct Kept<'a> {
    place: &'a Place,
    results: Mutex<RunResults>,
    /// The results it had at the start.
    before: Finished,
    /// Pictures of the sample that were scored before the run, by name; see [`Looker::sample`].
    sampled: Mutex<HashMap<Vec<u8>, Looked>>,
}

impl<'a> Kept<'a> {
    pub fn new(place: &'a Place, results: RunResults, before: Finished) -> Self {
        Self { place, results: Mutex::new(results), before, sampled: Mutex::default() }
    }

    /// Appends a result, with paths that hold wherever a run is started.
    ///
    /// # Errors
    /// The journal cannot be written.
    fn append(&self, record: &Record) -> Result<()> {
        let mut kept = record.clone();
        kept.input.path = self.place.kept_path(&kept.input.path);
        rename_files(&mut kept, |file| self.place.kept(file));
        self.results.lock().unwrap_or_else(|e| e.into_inner()).append(&kept, &self.before)
    }

    /// The result of a finished picture, with paths as printed.
    fn earlier(&self, input: &Input, name: &PictureName, settings: &ScorerSettings) -> Option<Record> {
        if !self.before.has(&name.name) {
            return None;
        }
        let mut record = if settings.hash {
            let file = image::read(&input.path, &settings.decoding.limits).ok()?;
            let hash = files::sha256(&file.bytes);
            self.before.get(&name.name, FileState::Hash(file.stamp.bytes, &hash))
        } else {
            self.before.get(&name.name, FileState::Stamp(Stamp::read(&input.path)?))
        }?;
        // The run may have been started in another folder before.
        record.input.path.clone_from(&name.path);
        rename_files(&mut record, |file| self.place.shown(file));
        Some(record)
    }

    /// Stores that files are missing, before others replace them. A run killed in between then leaves no file
    /// that its record describes wrongly.
    ///
    /// # Errors
    /// The journal cannot be written.
    fn withdraw_painted(&self, record: &Record) -> Result<()> {
        let painted = |kind: &&Artefact| kind.is_painted();
        let mut without = record.clone();
        for kind in Artefact::ALL.iter().filter(painted) {
            without.files_mut().and_then(|files| files.remove(kind.name()));
        }
        if without == *record { Ok(()) } else { self.append(&without) }
    }

    /// Writes everything to disk.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub fn finish(self) -> Result<()> {
        self.results.into_inner().unwrap_or_else(|e| e.into_inner()).finish()
    }
}

fn rename_files(record: &mut Record, name: impl Fn(&str) -> String) {
    record.files_mut().into_iter().flatten().for_each(|(_, file)| *file = name(file));
}

/// Scores one picture, unless the journal already has its result.
pub struct Looker<'a> {
    pub scorer: &'a Scorer,
    pub place: Option<&'a Place>,
    pub kept: Option<&'a Kept<'a>>,
}

/// The result for one picture.
pub struct Looked {
    pub record: Record,
    pub origin: Origin,
    /// An error that will also occur for every other picture.
    pub hopeless: Option<Error>,
}

/// The origin of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The picture was scored.
    Scored,
    /// The result of an earlier run with other thresholds or colours, or with missing files.
    Judged,
    /// The result of an earlier run, as it was.
    Finished,
}

impl Looked {
    fn new(record: Record, origin: Origin) -> Self {
        Self { record, origin, hopeless: None }
    }
}

impl Looker<'_> {
    pub fn look(&self, input: &Input) -> Looked {
        let name = PictureName { path: input.path.to_string_lossy().into_owned(), name: input.name() };
        let earlier = || {
            let kept = self.kept?;
            let sampled = kept.sampled.lock().unwrap_or_else(|e| e.into_inner()).remove(&name.name);
            if let Some(sampled) = sampled {
                return self.recoloured(kept.place, sampled, input).transpose();
            }
            let record = kept.earlier(input, &name, self.scorer.settings())?;
            self.again(kept, record, input).transpose()
        };
        earlier().unwrap_or_else(|| self.fresh(input, &name)).unwrap_or_else(|e| {
            let record = self.scorer.failed(&e, name, Stamp::read(&input.path));
            let hopeless = matches!(&e, Error::Io { source, .. } if is_hopeless(source)).then_some(e);
            Looked { hopeless, ..Looked::new(record, Origin::Scored) }
        })
    }

    /// The highest probability in a picture's map, from a result that the run will use: one of an earlier run, or a new
    /// one. `None`: the picture cannot be scored. A picture that is not `ours` belongs to another part of the run, which
    /// alone writes its files.
    pub fn sample(&self, input: &Input, ours: bool) -> Option<f32> {
        let highest = |record: &Record| Some(record.scored()?.map_probability?.max);
        let name = PictureName { path: input.path.to_string_lossy().into_owned(), name: input.name() };
        let kept = self.kept?;
        if let Some(record) = kept.earlier(input, &name, self.scorer.settings()) {
            return highest(&record);
        }
        if !ours {
            return Some(self.scorer.look(Source::File(&input.path), &name.path).ok()?.grey.high);
        }
        let looked = self.fresh(input, &name).ok()?;
        let found = highest(&looked.record);
        kept.sampled.lock().unwrap_or_else(|e| e.into_inner()).insert(name.name, looked);
        found
    }

    /// A result of the sample with the colours of the run; `None`: the picture must be scored again.
    fn recoloured(&self, place: &Place, mut sampled: Looked, input: &Input) -> Result<Option<Looked>> {
        let (judge, names, record) = (self.scorer.judge(), place.names(input), &mut sampled.record);
        match judge.stale(record, &place.artefacts, &names) {
            Stale::Nothing => {}
            Stale::Verdict => judge.judge(record),
            Stale::Painted(again) => {
                let decoding = &self.scorer.settings().decoding;
                let Some(map) = StoredMap::read(record, &again, &names, &input.path, decoding) else {
                    return Ok(None);
                };
                judge.repaint(record, &map, &again, &names)?;
            }
            Stale::Score => return Ok(None),
        }
        Ok(Some(sampled))
    }

    /// A result of an earlier run, judged by the settings of this one; `None`: the picture must be scored.
    fn again(&self, kept: &Kept<'_>, mut record: Record, input: &Input) -> Result<Option<Looked>> {
        let (judge, place) = (self.scorer.judge(), kept.place);
        let names = place.names(input);
        match judge.stale(&record, &place.artefacts, &names) {
            Stale::Nothing => return Ok(Some(Looked::new(record, Origin::Finished))),
            Stale::Verdict => {
                judge.judge(&mut record);
                return Ok(Some(Looked::new(record, Origin::Judged)));
            }
            Stale::Painted(again) => {
                let decoding = &self.scorer.settings().decoding;
                if let Some(map) = StoredMap::read(&record, &again, &names, &input.path, decoding) {
                    kept.withdraw_painted(&record)?;
                    judge.repaint(&mut record, &map, &again, &names)?;
                    return Ok(Some(Looked::new(record, Origin::Judged)));
                }
            }
            Stale::Score => {}
        }
        kept.withdraw_painted(&record)?;
        Ok(None)
    }

    fn fresh(&self, input: &Input, name: &PictureName) -> Result<Looked> {
        let look = self.scorer.look(Source::File(&input.path), &name.path)?;
        let files = match self.place {
            Some(place) => self.scorer.save(&look, &place.artefacts, &place.names(input))?,
            None => Default::default(),
        };
        Ok(Looked::new(self.scorer.record(look, name.clone(), files), Origin::Scored))
    }
}

/// The outputs of results.
pub struct Results<'a> {
    pub stdout: Shown<StdoutLock<'static>>,
    pub kept: Option<&'a Kept<'a>>,
}

impl Results<'_> {
    /// Writes one result: to the journal if it is new, then to stdout.
    ///
    /// # Errors
    /// The journal or stdout cannot be written.
    pub fn write(&mut self, record: &Record, origin: Origin) -> Result<()> {
        if let Some(kept) = self.kept.filter(|_| origin != Origin::Finished) {
            kept.append(record)?;
        }
        self.stdout.take(record).map_err(|e| Error::io("write to", "stdout", e))
    }

    /// Writes the end of the output.
    ///
    /// # Errors
    /// Stdout cannot be written.
    pub fn finish(self) -> Result<()> {
        self.stdout.finish().map_err(|e| Error::io("write to", "stdout", e))
    }
}

/// The reason why a picture has no score, with its path.
pub fn failure(record: &Record) -> Option<String> {
    match &record.outcome {
        Outcome::Scored(_) => None,
        Outcome::Failed(failure) if failure.message.contains(&record.input.path) => {
            Some(failure.message.clone())
        }
        Outcome::Failed(failure) => Some(format!("{}: {}", record.input.path, failure.message)),
    }
}

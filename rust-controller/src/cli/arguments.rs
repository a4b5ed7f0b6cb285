//! Arguments and their environment variables.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::BadInput;
use super::files;
use crate::catalog;
use crate::consolidate::{self, Millionths};
use crate::loops::CatalogChoice;
use crate::model::Catalog;
use crate::provision::{self, POOL_PREFIX, TypeFilter, UNSUITED_TYPES};
use crate::units::Cpu;

/// Plans Kubernetes nodes and never touches one.
///
/// Without a command it runs as the controller: it writes what it plans to ConfigMaps, and nothing else.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Option<Command>,
    #[command(flatten)]
    pub(super) run: RunArguments,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// The controller: plan at intervals and publish ConfigMaps (the default)
    Run(RunArguments),
    /// What to add for the pods that have no node
    Plan(PlanArguments),
    /// What to remove, and where its pods would run
    Consolidate(ConsolidateArguments),
    /// Why a pod is planned so, or why a node stays
    Explain(ExplainArguments),
    /// The node types as the planner sees them
    Catalog(CatalogArguments),
}

#[derive(Debug, Args)]
pub(super) struct RunArguments {
    /// Namespace of the ConfigMaps
    #[arg(long, env = "MINI_KARPENTER_NAMESPACE", default_value = "aula07")]
    pub(super) namespace: String,
    /// Address for /healthz, /readyz and /metrics
    #[arg(long, env = "MINI_KARPENTER_LISTEN", default_value = "127.0.0.1:8080")]
    pub(super) listen: SocketAddr,
    /// How often to plan for unschedulable pods (10s, 1m)
    #[arg(long, env = "MINI_KARPENTER_PENDING_INTERVAL", default_value = "10s", allow_hyphen_values = true,
          value_parser = interval)]
    pub(super) pending_interval: Duration,
    /// How often to look for nodes that could go
    #[arg(long, env = "MINI_KARPENTER_CONSOLIDATION_INTERVAL", default_value = "30s", allow_hyphen_values = true,
          value_parser = interval)]
    pub(super) consolidation_interval: Duration,
    /// At most so many plan- ConfigMaps; the summary stands for the rest
    #[arg(long, env = "MINI_KARPENTER_MAX_PLANS", default_value_t = 500, allow_hyphen_values = true)]
    pub(super) max_plans: usize,
    #[command(flatten)]
    pub(super) types: TypeArguments,
    #[command(flatten)]
    pub(super) threshold: ThresholdArguments,
    #[command(flatten)]
    pub(super) usage: UsageArguments,
}

#[derive(Debug, Args)]
pub(super) struct PlanArguments {
    #[command(flatten)]
    pub(super) input: InputArguments,
    #[command(flatten)]
    pub(super) types: TypeArguments,
    /// What to print
    #[arg(short, long, env = "MINI_KARPENTER_OUTPUT", value_enum, default_value_t = PlanOutput::Table)]
    pub(super) output: PlanOutput,
}

#[derive(Debug, Args)]
pub(super) struct ConsolidateArguments {
    #[command(flatten)]
    pub(super) input: InputArguments,
    #[command(flatten)]
    pub(super) types: TypeArguments,
    #[command(flatten)]
    pub(super) threshold: ThresholdArguments,
    #[command(flatten)]
    pub(super) usage: UsageArguments,
    /// What to print
    #[arg(short, long, env = "MINI_KARPENTER_OUTPUT", value_enum, default_value_t = ConsolidateOutput::Table)]
    pub(super) output: ConsolidateOutput,
}

#[derive(Debug, Args)]
pub(super) struct ExplainArguments {
    /// Name of a pod, of its controller, or of a node: NAME, NAMESPACE/NAME, pod/NAME or node/NAME
    #[arg(value_name = "POD|NODE")]
    pub(super) name: String,
    #[command(flatten)]
    pub(super) files: FileArguments,
    #[command(flatten)]
    pub(super) types: TypeArguments,
    #[command(flatten)]
    pub(super) threshold: ThresholdArguments,
}

#[derive(Debug, Args)]
pub(super) struct CatalogArguments {
    /// generic, aws, azure, gcp or a file
    #[arg(default_value = "generic")]
    pub(super) catalog: String,
}

#[derive(Debug, Args)]
pub(super) struct FileArguments {
    /// Files with pods and nodes instead of the live cluster; - is standard input
    #[arg(short, long = "filename", value_name = "FILE", num_args = 1..)]
    pub(super) files: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct InputArguments {
    #[command(flatten)]
    pub(super) files: FileArguments,
    /// Namespace that ConfigMaps are printed for
    #[arg(long, env = "MINI_KARPENTER_NAMESPACE", default_value = "aula07")]
    pub(super) namespace: String,
}

#[derive(Debug, Args)]
pub(super) struct TypeArguments {
    /// Node types to choose from: auto, generic, aws, azure, gcp or a file
    #[arg(long, env = "MINI_KARPENTER_CATALOG", default_value = "auto")]
    pub(super) catalog: String,
    /// Leave out node types whose name this regular expression matches; '' leaves out none. By default burstable,
    /// shared-core and bare-metal types
    #[arg(long, env = "MINI_KARPENTER_EXCLUDE_TYPES", value_name = "REGEX", default_value = UNSUITED_TYPES)]
    pub(super) exclude_types: String,
    /// Leave out node types with more allocatable CPU than this (16, 3500m)
    #[arg(long, env = "MINI_KARPENTER_MAX_NODE_CPU", value_name = "CPU", allow_hyphen_values = true,
          value_parser = node_cpu)]
    pub(super) max_node_cpu: Option<Cpu>,
    /// Share of the CPU, memory and storage of each new node that is left free (0.1, 10%)
    #[arg(long, env = "MINI_KARPENTER_HEADROOM", value_name = "SHARE", default_value = "0", allow_hyphen_values = true,
          value_parser = headroom)]
    pub(super) headroom: Millionths,
    /// Plan at least so many nodes in each zone, as far as there are pods for them
    #[arg(
        long,
        env = "MINI_KARPENTER_MIN_NODES_PER_ZONE",
        value_name = "NODES",
        default_value_t = 0,
        allow_hyphen_values = true
    )]
    pub(super) min_nodes_per_zone: usize,
    /// How long to look for better plans than the first (500ms, 2s); a longer time never makes a plan invalid, a shorter one
    /// neither
    #[arg(long, env = "MINI_KARPENTER_BUDGET", default_value = "1s", allow_hyphen_values = true,
          value_parser = duration)]
    pub(super) budget: Duration,
    /// Architectures for pods that do not ask for one, such as amd64,arm64; by default that of most nodes
    #[arg(long, env = "MINI_KARPENTER_ARCH", value_delimiter = ',', value_parser = arch)]
    pub(super) arch: Vec<String>,
    /// Capacity types that may be planned
    #[arg(
        long,
        env = "MINI_KARPENTER_CAPACITY_TYPE",
        default_value = "on-demand",
        value_delimiter = ',',
        value_parser = ["on-demand", "spot", "reserved"]
    )]
    pub(super) capacity_type: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct ThresholdArguments {
    /// A node whose requests are under this share of its CPU and of its memory could go (0.2, 20%)
    #[arg(long, env = "MINI_KARPENTER_THRESHOLD", default_value = "20%", allow_hyphen_values = true,
          value_parser = share)]
    pub(super) threshold: Millionths,
    /// Suggest new nodes in place of others only where more than this share of what the others cost is saved (0.15, 15%)
    #[arg(long, env = "MINI_KARPENTER_MIN_SAVINGS", value_name = "SHARE", default_value = "15%", allow_hyphen_values = true,
          value_parser = share)]
    pub(super) min_savings: Millionths,
}

#[derive(Debug, Args)]
pub(super) struct UsageArguments {
    /// Show what metrics.k8s.io measured that nodes use beside what is requested of them; nothing is decided by it
    #[arg(long, env = "MINI_KARPENTER_USAGE")]
    pub(super) usage: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum PlanOutput {
    Table,
    Json,
    #[value(name = "configmaps")]
    ConfigMaps,
    #[value(name = "nodepools")]
    NodePools,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum ConsolidateOutput {
    Table,
    Json,
    #[value(name = "configmaps")]
    ConfigMaps,
    #[value(name = "nodepools")]
    NodePools,
}

impl Arguments {
    /// The controller says what it does; a command prints its document and what went wrong.
    pub(super) fn log_level(&self) -> &'static str {
        if matches!(self.command, None | Some(Command::Run(_))) { "info" } else { "warn" }
    }
}

impl ThresholdArguments {
    /// What may go, and what is worth to be replaced.
    pub(super) fn options(&self) -> consolidate::Options {
        let Self { threshold, min_savings } = *self;
        consolidate::Options { threshold, min_savings }
    }
}

impl TypeArguments {
    /// What may be planned.
    pub(super) fn options(&self) -> Result<provision::Options, BadInput> {
        let exclude_types = TypeFilter::new(&self.exclude_types)
            .map_err(|error| BadInput(format!("--exclude-types {:?}: {error}", self.exclude_types)))?;
        Ok(provision::Options {
            capacity_types: self.capacity_type.iter().cloned().collect(),
            arch: self.arch.iter().cloned().collect(),
            exclude_types,
            max_node_cpu: self.max_node_cpu,
            headroom: self.headroom,
            min_nodes_per_zone: self.min_nodes_per_zone,
            budget: self.budget,
            pool_prefix: POOL_PREFIX,
        })
    }
}

pub(super) fn catalog_choice(name: &str) -> anyhow::Result<CatalogChoice> {
    if name == "auto" {
        return Ok(CatalogChoice::Auto);
    }
    if let Some(built_in) = catalog::builtin(name) {
        return Ok(CatalogChoice::BuiltIn(built_in));
    }
    let text = files::read(name)
        .map_err(|error| BadInput(format!("--catalog: {error} (or one of auto, generic, aws, azure, gcp)")))?;
    let catalog = catalog::parse(name, &text).map_err(|error| BadInput(error.to_string()))?;
    Ok(CatalogChoice::File(catalog))
}

/// That a catalog has a node that may be planned.
///
/// # Errors
/// Where it offers none of the capacity types that are allowed.
pub(super) fn check_capacity_types(catalog: &Catalog, options: &provision::Options) -> Result<(), BadInput> {
    let allowed: Vec<&str> = options.capacity_types.iter().map(String::as_str).collect();
    let offered = capacity_types(catalog);
    if offered.is_empty() || allowed.iter().any(|allowed| offered.contains(allowed)) {
        return Ok(());
    }
    let offers_them = |name: &&str| {
        catalog::builtin(name)
            .is_some_and(|other| allowed.iter().any(|allowed| capacity_types(&other).contains(allowed)))
    };
    let others: Vec<&str> = catalog::BUILT_IN.into_iter().filter(offers_them).collect();
    let others = if others.is_empty() { "a file".to_owned() } else { format!("{} or a file", others.join(", ")) };
    Err(BadInput(format!(
        "--capacity-type {}: every node type of the catalog {} is offered as {} only; allow that, or name another catalog \
         (--catalog: {others} with such offerings)",
        allowed.join(","),
        catalog.name,
        offered.into_iter().collect::<Vec<_>>().join(" or "),
    )))
}

fn capacity_types(catalog: &Catalog) -> BTreeSet<&str> {
    catalog.types.iter().flat_map(|kind| &kind.offerings).map(|offering| offering.capacity_type.as_str()).collect()
}

fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| format!("{error} (examples: 500ms, 10s, 1m)"))
}

fn interval(text: &str) -> Result<Duration, String> {
    let interval = duration(text)?;
    if interval.is_zero() { Err("must be longer than nothing".to_owned()) } else { Ok(interval) }
}

fn node_cpu(text: &str) -> Result<Cpu, String> {
    match text.parse::<Cpu>().map_err(|error| error.to_string())? {
        cpu if cpu.is_zero() => Err("no node has so little: more than 0".to_owned()),
        cpu => Ok(cpu),
    }
}

fn arch(text: &str) -> Result<String, String> {
    match catalog::arch(text) {
        Some(arch) => Ok(arch.to_owned()),
        None => Err(catalog::Problem::UnknownArch(text.to_owned()).to_string()),
    }
}

/// A share of everything.
const WHOLE: Millionths = 1_000_000;

fn share(text: &str) -> Result<Millionths, String> {
    let (number, whole) = text.strip_suffix('%').map_or((text, 1.0), |percent| (percent, 100.0));
    let share: f64 = number.trim().parse().map_err(|_| "not a share (examples: 0.2, 20%)".to_owned())?;
    let share = share / whole;
    if !(0.0..=1.0).contains(&share) {
        return Err("a share is from 0 to 1, or from 0% to 100%".to_owned());
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and a million")]
    let millionths = (share * 1e6).round() as Millionths;
    Ok(millionths)
}

fn headroom(text: &str) -> Result<Millionths, String> {
    match share(text)? {
        headroom if headroom >= WHOLE => {
            Err("nothing could run on a node that is left free: less than 100%".to_owned())
        }
        headroom => Ok(headroom),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_declaration_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_share_may_be_a_percentage() {
        assert_eq!(share("0.2"), Ok(200_000));
        assert_eq!(share("12.5%"), Ok(125_000));
        for wrong in ["", "20", "-1%", "101%", "NaN", "a lot"] {
            assert!(share(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn some_of_each_node_is_for_pods() {
        assert_eq!((headroom("99.9%"), headroom("0")), (Ok(999_000), Ok(0)));
        for wrong in ["100%", "1", "0.9999999", "2"] {
            assert!(headroom(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_default_command_takes_the_options_of_run() {
        let arguments = Arguments::parse_from(["mini-karpenter-rs", "--pending-interval", "1s"]);
        assert!(arguments.command.is_none());
        assert_eq!(arguments.run.pending_interval, Duration::from_secs(1));
    }
}

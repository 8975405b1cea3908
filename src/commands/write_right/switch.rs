//! `repmgr write-right enable` and `repmgr write-right disable`.

use crate::commands::{Context, connecting, overview};
use crate::config::WriteRight;
use crate::error::{Error, Result};
use crate::exit_code::ExitCode;
use crate::notice;
use crate::operations::write_right;

/// Runs `enable`, or else `disable`.
pub async fn run(context: &Context, enable: bool) -> Result<ExitCode> {
    if enable && context.config.write_right == WriteRight::Off {
        return Err(Error::bad_config("\"write_right\" is off in repmgr.conf").hint(
            "set \"write_right\" to majority or etcd in repmgr.conf of every node and restart the daemons, then run this again",
        ));
    }
    let local = connecting::local(context).await?;
    let records = overview::records(&local).await?;
    let etcd = super::etcd(context, &local).await?;
    drop(local);
    let voters = write_right::voters(records, overview::deadlines()).await;
    let dry_run = context.options.dry_run;
    if enable {
        write_right::enable(&voters, etcd.as_ref(), dry_run).await?;
    } else {
        write_right::disable(&voters, dry_run).await?;
    }
    if !dry_run {
        let now = if enable { "on" } else { "off" };
        notice!("the right to write is switched {now}");
    }
    Ok(ExitCode::Success)
}

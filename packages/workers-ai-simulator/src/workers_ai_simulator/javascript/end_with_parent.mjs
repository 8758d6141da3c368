// Loaded into wrangler's own processes: each ends when the process that has started it has ended, even by SIGKILL, which
// would leave wrangler and workerd behind, at the ports that the next start wants.
import { onParentDeath } from "./signals.mjs";

onParentDeath(() => process.kill(process.pid, "SIGTERM"));

// Writes the command manifest of the CLI when its commands changed: oclif then starts without reading every command.
import { buildManifest } from './prepare.js';

process.exitCode = await buildManifest();

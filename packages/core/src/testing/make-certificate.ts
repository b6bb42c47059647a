import { execFile } from 'node:child_process';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { findProgram } from './find-program.js';

export interface TestCertificate {
  /** Folder of the two files; the caller removes it. */
  readonly folder: string;
  readonly certFile: string;
  readonly keyFile: string;
}

/** A self-signed certificate of this host, as PEM files; undefined where `openssl` is not installed. */
export const makeCertificate = async (): Promise<TestCertificate | undefined> => {
  const program = findProgram('openssl');
  if (program === undefined) return undefined;
  const folder = await mkdtemp(join(tmpdir(), 'certificate-'));
  const [certFile, keyFile] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
  await promisify(execFile)(program, ['req', '-x509', ...curve, ...names, '-keyout', keyFile, '-out', certFile]);
  return { folder, certFile, keyFile };
};

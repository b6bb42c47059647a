/**
 * How several gateways share a neuron without harm. A neuron counts what it takes in and lets go; whoever wants to change that says
 * which count it has seen, and is refused when another was faster.
 */

/** Header of a neuron's `GET /models`: the epoch that the list is of. */
export const epochHeader = 'x-cortex-epoch';

/** An epoch as text: of one process, after so many loads begun and models let go. */
export const formatEpoch = (process: string, changes: number): string => `${process}.${changes}`;

/** The process that an epoch is of; it differs after every start. */
export const processOfEpoch = (epoch: string): string => epoch.slice(0, Math.max(0, epoch.lastIndexOf('.')));

import type { Fleet } from './fleet.js';

export interface FleetHealth {
  /** `down` without any node that answers, `degraded` when one does not, `impaired` when a loaded model cannot serve. */
  readonly status: 'ok' | 'impaired' | 'degraded' | 'down';
  readonly nodes: { readonly healthy: number; readonly total: number };
  readonly neurons: readonly {
    readonly name: string;
    readonly healthy: boolean;
    readonly models: readonly { readonly id: string; readonly status: string }[];
    readonly reason?: string;
  }[];
  readonly unservable?: readonly {
    readonly node: string;
    readonly model: string;
    readonly reason?: string;
    readonly detail?: string;
  }[];
}

/** The state of the fleet for people and for monitors. */
export const describeHealth = (fleet: Fleet): FleetHealth => {
  const healthy = fleet.filter((node) => node.healthy).length;
  const unservable = fleet
    .filter((node) => node.healthy)
    .flatMap((node) =>
      node.models.flatMap(({ id, status, servable }) =>
        status !== 'loaded' || servable === undefined || servable.ok
          ? []
          : [
              {
                node: node.name,
                model: id,
                ...(servable.reason === undefined ? {} : { reason: servable.reason }),
                ...(servable.detail === undefined ? {} : { detail: servable.detail }),
              },
            ],
      ),
    );
  const status =
    healthy === 0 ? 'down' : healthy < fleet.length ? 'degraded' : unservable.length > 0 ? 'impaired' : 'ok';
  return {
    status,
    nodes: { healthy, total: fleet.length },
    neurons: fleet.map((node) => ({
      name: node.name,
      healthy: node.healthy,
      models: node.models.map(({ id, status: modelStatus }) => ({ id, status: modelStatus })),
      ...(node.reason === undefined ? {} : { reason: node.reason }),
    })),
    ...(unservable.length > 0 ? { unservable } : {}),
  };
};

// What the harness does inside the page. It is there in every page before JupyterLab is, and again after a reload.
//
// Nothing here is awaited from outside, because a promise that never settles would hang the test: `begin` gives a ticket,
// and `done[ticket]` holds the outcome once there is one.

const harness = {
  tickets: 0,
  done: {},
  frames: {},

  begin(verb, ...words) {
    const ticket = ++harness.tickets;
    const settle = outcome => { harness.done[ticket] = outcome; };
    harness.verbs[verb](...words).then(value => settle({value}), error => settle({error: String(error?.message ?? error)}));
    return ticket;
  },

  panel(path) {
    const app = window.jupyterapp;
    return app && [...app.shell.widgets('main')].find(widget => widget.context?.path === path);
  },

  // The kernel may be busy for moments with messages of widgets; what counts is that nothing that was begun is open.
  idle(path) {
    const open = harness.tickets - Object.keys(harness.done).length;
    return open === 0 && harness.panel(path)?.sessionContext.session?.kernel?.status === 'idle';
  },

  outputs(path, cell) {
    return harness.panel(path).content.widgets[cell].model.outputs.toJSON();
  },

  // No public way leads to the Log Console's messages, so this one may need a change with the next JupyterLab.
  hiddenLog(path) {
    const {_services: services, _plugins: plugins} = window.jupyterapp.pluginRegistry;
    const token = [...services.keys()].find(({name}) => name === '@jupyterlab/logconsole:ILoggerRegistry');
    return plugins.get(services.get(token)).service.getLogger(path).outputAreaModel.toJSON();
  },

  // The picture that an image shows, in its own pixels, as a PNG in a data URL.
  picture(selector) {
    const image = document.querySelector(selector);
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
    canvas.getContext('2d').drawImage(image, 0, 0);
    return canvas.toDataURL();
  },

  // Times in seconds since the epoch at which an image that matches got a new source, was painted, could not be painted.
  countFrames(selector) {
    const log = harness.frames[selector] = {arrived: [], shown: [], failed: []};
    const now = () => (performance.timeOrigin + performance.now()) / 1000;
    const source = image => image.getAttribute('src');
    const seen = new Set([...document.querySelectorAll(selector)].map(source));  // moved within the page: no new frame
    const arrive = (image, ...sources) => {
      if (!image.matches?.(selector)) return;
      for (const one of [...sources, source(image)]) {
        if (one && !seen.has(one)) log.arrived.push(now());
        seen.add(one);
      }
    };
    const watch = ({type, target, attributeName, oldValue, addedNodes}) => {
      if (type === 'attributes') arrive(target, ...(attributeName === 'src' ? [oldValue] : []));
      for (const node of addedNodes) {
        arrive(node);
        node.querySelectorAll?.('img').forEach(image => arrive(image));
      }
    };
    // The class too: a widget gets it after its first picture, and only then the selector matches.
    const watched = {subtree: true, childList: true, attributeFilter: ['src', 'class'], attributeOldValue: true};
    new MutationObserver(changes => changes.forEach(watch)).observe(document, watched);
    const listen = (event, times) =>  // in the capture phase: these events do not bubble
      document.addEventListener(event, ({target}) => { if (target.matches?.(selector)) times.push(now()); }, true);
    listen('load', log.shown);
    listen('error', log.failed);
  },

  verbs: {
    async open(path) {
      const app = window.jupyterapp;
      await app.restored;
      const panel = await app.commands.execute('docmanager:open', {path});
      await panel.context.ready;
      await panel.sessionContext.ready;
      app.shell.collapseLeft();
      return panel.sessionContext.session.kernel.id;
    },
    async runCell(path, cell) {
      const notebook = harness.panel(path).content;
      notebook.deselectAll();
      notebook.activeCellIndex = cell;
      return window.jupyterapp.commands.execute('notebook:run-cell');
    },
    async command(name, options) {
      await window.jupyterapp.commands.execute(name, options);
    },
    async interrupt(path) {
      await harness.panel(path).sessionContext.session.kernel.interrupt();
    },
    async restart(path) {
      await harness.panel(path).sessionContext.restartKernel();
    },
    async save(path) {
      await harness.panel(path).context.save();
    },
  },
};
window.harness = harness;

// Runs before anything else. Two jobs:
// 1. Take the secret of a share link out of the address bar, before any other script can see it there.
// 2. Set the theme before the first paint.
(function () {
  var secret = '';
  if (location.pathname.indexOf('/s/') === 0 && location.hash.length > 1) {
    secret = location.hash.slice(1);
    history.replaceState(history.state, '', location.pathname + location.search);
  }
  Object.defineProperty(window, 'takeShareSecret', {
    value: function () {
      var taken = secret;
      secret = '';
      return taken;
    },
  });
  var theme = 'dark';
  try {
    theme = localStorage.getItem('safelight-theme') || 'dark';
  } catch (error) {
    theme = 'dark';
  }
  if (theme === 'system') theme = matchMedia('(prefers-color-scheme: light)').matches ? 'light' : 'dark';
  document.documentElement.dataset.theme = theme === 'light' ? 'light' : 'dark';
})();
